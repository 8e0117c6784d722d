"""mixspec eval: how often a trained network is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ._judged import Bar, about, facts, report, title
from ._options import Json
from ._pictures import Confusion
from ._sweeps import CropRatios, Images, Truncate, show, sweep
from ._table import print_json
from ._trained import DataSet, Part, SplitName

if TYPE_CHECKING:
    from ..zoo.classifier import Classifier
    from ..zoo.training.data import Data
    from ..zoo.training.evaluate import Evaluation, Ranks

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="WEIGHTS",
        help="A .safetensors file that mixspec wrote, a name in the zoo, or hf://org/name. Several answer together.",
    ),
]
Together = Annotated[
    Literal["probabilities", "logits"],
    typer.Option("--ensemble", help="What several networks' answers are the mean of."),
]
Resume = Annotated[
    Path | None, typer.Option("--resume", metavar="FILE", help="Keep what is done in FILE, and go on from there.")
]
Workers = Annotated[int, typer.Option("--workers", min=0, max=256, help="Processes that decode images.")]
MostBad = Annotated[int, typer.Option("--max-bad-images", min=0, help="Images that may be unreadable.")]


def command(
    weights: Files,
    data: DataSet = "digits",
    split: Part = "test",
    ensemble: Together = "probabilities",
    confusion: Confusion = None,
    resume: Resume = None,
    workers: Workers = 0,
    max_bad_images: MostBad = 100,
    crop_ratios: CropRatios = None,
    images: Images = None,
    truncate: Truncate = None,
    json: Json = False,
) -> None:
    """Evaluate weights on images they were not trained on.

    The networks are built from the files alone. Accuracies are percentages with Wilson's interval at 95 %, the loss is
    the mean cross-entropy in nats. --crop-ratios, --images and --truncate evaluate the same weights again, once for
    each value. Under `accelerate launch` or `torchrun` the processes share the images; a GPU is used where there is
    one.
    """
    from ..zoo.classifier import Classifier
    from ..zoo.pretrained import weights_file
    from ..zoo.training.data import open_data
    from ..zoo.training.evaluate import Ranks

    files = [weights_file(word) for word in weights]
    if len(files) > 1 and (crop_ratios, images, truncate) != (None, None, None):
        raise typer.BadParameter("--crop-ratios, --images and --truncate are for one WEIGHTS")
    held, ranks = open_data(data), Ranks.here()
    classifiers = [Classifier.open(file, held, ranks.device) for file in files]
    seen = _seen(classifiers, held, split, ensemble, resume, workers, max_bad_images, ranks)
    if ranks.rank:
        return
    first, named = classifiers[0], title(classifiers, data, split)
    if confusion:
        from ..zoo.confusion import draw

        draw(seen, first.classes, confusion, named)
    swept = sweep(first, files[0], held.split(split), crop_ratios, images, truncate)
    if json:
        whole = {**about(files, classifiers, data, split), **({"ensemble": ensemble} if len(files) > 1 else {})}
        print_json({**whole, **facts(seen, first.classes), **swept})
        return
    report(seen, first.classes, held.classes, named, brief=bool(swept))
    show(swept)


def _seen(
    classifiers: Sequence[Classifier],
    data: Data,
    split: SplitName,
    ensemble: Literal["probabilities", "logits"],
    file: Path | None,
    workers: int,
    most_bad: int,
    ranks: Ranks,
) -> Evaluation:
    from ..zoo.training.partial import Partial, resumed

    first, part = classifiers[0], data.split(split)
    identity = {
        "weights": [one.header.digest for one in classifiers],
        "tensors": [one.header.tensors_sha256 for one in classifiers],
        "inputs": [str(one.inputs) for one in classifiers],
        "data": part.digest() if file else "",
        "split": split,
        "ensemble": ensemble,
    }
    with Bar(len(part), ranks.count) as bar:
        return resumed(
            [one.member(first.classes) for one in classifiers],
            part,
            first.classes,
            relabel=first.relabel(data),
            mean=ensemble,
            partial=Partial.of(file, identity, ranks) if file else None,
            most_bad=most_bad,
            ranks=ranks,
            workers=workers,
            say=bar.say,
        )
