"""mixspec eval: how often a trained network is right."""

from __future__ import annotations

import typer

from ._options import Json
from ._sweeps import CropRatios, Images, Truncate, show, sweep
from ._table import print_json, table
from ._trained import DataSet, Part, Weights


def command(
    weights: Weights,
    data: DataSet = "digits",
    split: Part = "test",
    crop_ratios: CropRatios = None,
    images: Images = None,
    truncate: Truncate = None,
    json: Json = False,
) -> None:
    """Evaluate a weights file on images it was not trained on.

    The network is built from the file alone. Accuracies are percentages, the loss is the mean cross-entropy in nats.
    --crop-ratios, --images and --truncate evaluate the same weights again, once for each value.
    """
    from ..zoo.classifier import Classifier
    from ..zoo.pretrained import weights_file
    from ..zoo.training.data import open_data

    weights = weights_file(weights)
    held = open_data(data)
    classifier = Classifier.open(weights, held)
    network, seen = classifier.header.network, classifier.evaluate(held.splits[split])
    swept = sweep(classifier, weights, held.splits[split], crop_ratios, images, truncate)
    if json:
        about = {
            "weights": str(weights),
            "name": network.name,
            "digest": classifier.header.digest,
            "data": data,
            "split": split,
        }
        print_json({**about, **seen.facts(), **swept})
        return
    if not swept:
        rows = [(name, score.images, f"{score.top1:.1f}") for name, score in seen.per_class.items()]
        table(("class", "images", "top-1 %"), [*rows, ("all", seen.images, f"{seen.top1:.2f}")])
        typer.echo()
    typer.echo(
        f"{network.name} on {data}, {split}: top-1 {seen.top1:.2f} %, top-5 {seen.top5:.2f} %, loss {seen.loss:.4f}"
    )
    show(swept)
