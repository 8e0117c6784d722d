"""mixspec prune: a trained network without the kernels it can do without."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import Json
from ._table import print_json, table
from ._trained import DataSet, Part, Weights

if TYPE_CHECKING:
    from ..zoo.classifier import Classifier
    from ..zoo.tools.gabor_prune import PrunedGabor
    from ..zoo.tools.prune import Pruned
    from ..zoo.training.data import AnySplit

Budget = Annotated[float, typer.Option("--budget", metavar="POINTS", help="Accuracy that may be lost, points.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the pruned network to this file.")
]
TIMED = 64
"""Images of the batch that is timed."""


def command(
    weights: Weights,
    data: DataSet = "digits",
    split: Part = "val",
    budget: Budget = 0.1,
    output: Output = None,
    json: Json = False,
) -> None:
    """Remove the kernels with the smallest norms, as many as a budget of accuracy allows, without fine-tuning.

    In networks with CADA, CADAsp, DA or DAsp base kernels go, and with them coefficients that no head needs: the
    written spec and its weights are smaller. In networks with Gabor convolutions slices go: amplitudes become zero.
    """
    from ..zoo.classifier import Classifier
    from ..zoo.pretrained import weights_file
    from ..zoo.tools.prune import Pruned
    from ..zoo.training.data import open_data

    weights = weights_file(weights)
    images = open_data(data)
    classifier, part = Classifier.open(weights, images), images.split(split)
    done = _pruned(classifier, part, budget)
    facts = {"split": split, "budget": budget, **done.facts()}
    if output:
        _write(classifier, done, facts, output)
    report = _Report(weights, output, facts)
    if isinstance(done, Pruned):
        report.facts["seconds"] = _seconds(classifier, done, part)
    if json:
        print_json(report.data())
    elif isinstance(done, Pruned):
        report.base_kernels()
    else:
        report.slices()


def _pruned(classifier: Classifier, part: AnySplit, budget: float) -> Pruned | PrunedGabor:
    from ..zoo.tools.gabor_prune import convolutions, prune_gabor
    from ..zoo.tools.prune import prune

    way = prune_gabor if any(convolutions(classifier.model)) else prune
    return way(classifier.model, part, classifier.inputs, classifier.classes, budget)


def _write(classifier: Classifier, done: Pruned | PrunedGabor, facts: dict[str, Any], output: Path) -> None:
    from ..zoo.weights import save

    held = classifier.header
    metrics = {f"{facts['split']}_top1": done.found.top1, "pruned": facts}
    save(done.model, output, metrics=metrics, recipe=held.recipe, data=held.data)


def _seconds(classifier: Classifier, done: Pruned, part: AnySplit) -> list[float]:
    """Time of both networks for one batch."""
    from ..zoo.tools.stopwatch import seconds
    from ..zoo.training.evaluate import batches

    x = next(batches(part.samples(classifier.inputs))).images[:TIMED]
    return [round(value, 6) for value in seconds([classifier.model, done.model], x)]


@dataclass(frozen=True)
class _Report:
    """What is printed of a pruning."""

    weights: Path
    output: Path | None
    facts: dict[str, Any]

    def data(self) -> dict[str, Any]:
        files = [self.weights, *([self.output] if self.output else [])]
        return {"files": [str(file) for file in files], "bytes": [file.stat().st_size for file in files], **self.facts}

    def base_kernels(self) -> None:
        facts = self.facts
        rows = [
            (x["path"], x["mixer"], x["heads"], x["base_kernels"], f"{x['kept']:.1f}", x["coefficients"])
            for x in facts["layers"]
        ]
        table(("mixer", "before", "heads", "b", "kept, mean over heads", "b after"), rows)
        typer.echo()
        figures = [("parameters", *facts["params"]), ("MACs", *facts["macs"])]
        if self.output:
            figures.append(("bytes", *self.data()["bytes"]))
        milliseconds = [f"{1000 * value:.1f}" for value in facts["seconds"]]
        table(("", "before", "after"), [*figures, (f"ms for {TIMED} images, here", *milliseconds)])
        typer.echo(f"\nmixers: {facts['mixers']}")
        for path, mixer in facts["blocks"].items():
            typer.echo(f"  {path}: {mixer}")
        self._ending(f"{facts['removed']} of {facts['base_kernels']} base kernels")

    def slices(self) -> None:
        rows = [(x["path"], x["kernel"], x["slices"], x["kept"]) for x in self.facts["layers"]]
        table(("convolution", "side", "slices", "kept"), rows)
        typer.echo()
        self._ending(f"{self.facts['removed']} of {self.facts['slices']} slices")

    def _ending(self, what: str) -> None:
        facts = self.facts
        typer.echo(
            f"{what} removed; {facts['split']} top-1 {facts['top1_before']:.2f} % to {facts['top1_after']:.2f} %"
        )
        if self.output:
            typer.echo(f"wrote {self.output}")
