"""mixspec predict: what a trained network says of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import Json
from ._table import print_json, table
from ._trained import DataName, Part, Weights

if TYPE_CHECKING:
    from ..zoo.classifier import Prediction

Images = Annotated[list[Path] | None, typer.Argument(metavar="[IMAGES]...", help="Image files.")]
Index = Annotated[str | None, typer.Option("--index", metavar="0,1,2", help="Images of --data, by number from 0.")]
Chosen = Annotated[DataName | None, typer.Option("--data", help="Built-in images instead of files.")]
Top = Annotated[int, typer.Option("--top", min=1, help="Classes to list for each image.")]
Invert = Annotated[
    bool, typer.Option("--invert", help="The files are dark ink on light paper; digits are the reverse.")
]
Answers = list[tuple[str, str | None, "Prediction"]]


def command(
    weights: Weights,
    images: Images = None,
    data: Chosen = None,
    index: Index = None,
    split: Part = "test",
    top: Top = 3,
    invert: Invert = False,
    json: Json = False,
) -> None:
    """Say which classes images belong to, with probabilities.

    Name image files, or take built-in ones: --data digits --index 0,1,2.
    """
    if bool(images) == bool(data):
        raise typer.BadParameter("name image files, or --data digits --index 0,1,2")
    if (index is None) != (data is None):
        raise typer.BadParameter("--data and --index go together")
    from ..zoo.classifier import Classifier
    from ..zoo.pretrained import weights_file

    weights = weights_file(weights)
    if data:
        answers = _built_in(weights, data, split, _numbers(index or ""), top)
    else:
        files = images or []
        said = Classifier.open(weights).predict_files(files, top, invert=invert)
        answers = [(str(file), None, prediction) for file, prediction in zip(files, said, strict=True)]
    if json:
        print_json([_data(*answer) for answer in answers])
        return
    ranks = [f"{rank}." for rank in range(1, len(answers[0][2].top) + 1)]
    table(("image", *(["label"] if data else []), *ranks), [_row(*answer) for answer in answers])


def _built_in(weights: Path, data: str, split: str, indices: list[int], top: int) -> Answers:
    from ..zoo.classifier import Classifier
    from ..zoo.training.data import open_data

    held = open_data(data)
    chosen = held.splits[split].take(indices)  # type: ignore[index]
    said = Classifier.open(weights, held).predict(chosen.images, top)
    labels = [held.classes[label] for label in chosen.labels.tolist()]
    return [(f"{data}/{split}/{i}", *answer) for i, *answer in zip(indices, labels, said, strict=True)]


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of numbers: 0,1,2", param_hint="--index") from None


def _row(name: str, label: str | None, said: Prediction) -> tuple[str, ...]:
    ranks = (f"{word} {probability:.3f}" for word, probability in said.top)
    return (name, *([label] if label is not None else []), *ranks)


def _data(name: str, label: str | None, said: Prediction) -> dict[str, object]:
    return {"image": name, **({"label": label} if label is not None else {}), "top": said.facts()}
