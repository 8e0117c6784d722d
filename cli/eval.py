"""mixspec eval: how often a trained network is right."""

from __future__ import annotations

import typer

from ._options import Json
from ._table import print_json, table
from ._trained import DataSet, Part, Weights


def command(weights: Weights, data: DataSet = "digits", split: Part = "test", json: Json = False) -> None:
    """Evaluate a weights file on images it was not trained on.

    The network is built from the file alone. Accuracies are percentages, the loss is the mean cross-entropy in nats.
    """
    from ..zoo.classifier import Classifier
    from ..zoo.training.data import SETS

    images = SETS[data]()
    classifier = Classifier.open(weights, images)
    network, seen = classifier.header.network, classifier.evaluate(images.splits[split])
    if json:
        about = {"weights": str(weights), "name": network.name, "digest": classifier.header.digest, "data": data, "split": split}
        print_json({**about, **seen.facts()})
        return
    rows = [(name, score.images, f"{score.top1:.1f}") for name, score in seen.per_class.items()]
    table(("class", "images", "top-1 %"), [*rows, ("all", seen.images, f"{seen.top1:.2f}")])
    typer.echo(
        f"\n{network.name} on {data}, {split}: top-1 {seen.top1:.2f} %, top-5 {seen.top5:.2f} %, loss {seen.loss:.4f}"
    )
