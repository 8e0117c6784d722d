"""mixspec predict: what a trained network says of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlsplit

import typer

from ._options import Json
from ._table import print_json, table
from ._trained import Part, Weights

if TYPE_CHECKING:
    from ..zoo.classifier import Prediction
    from ..zoo.training.data.decode import BadImage

Images = Annotated[
    list[str] | None, typer.Argument(metavar="[IMAGES]...", help="Image files, folders of them, or file: addresses.")
]
Index = Annotated[
    str | None,
    typer.Option("--index", metavar="0,1,2", help="Images of --data, by number from 0."),
]
Chosen = Annotated[str | None, typer.Option("--data", metavar="DATA", help="Images of a data set instead of files.")]
Top = Annotated[int, typer.Option("--top", min=1, help="Classes to list for each image.")]
Invert = Annotated[
    bool, typer.Option("--invert", help="The files are dark ink on light paper; digits are the reverse.")
]
Answer = tuple[str, str | None, "Prediction | BadImage"]


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

    Name image files or folders, or take images of a data set: --data digits --index 0,1,2. Images that cannot be read
    are named with the reason; the status is 1 where there are no others.
    """
    if bool(images) == bool(data):
        raise typer.BadParameter("name image files, or --data digits --index 0,1,2")
    if (index is None) != (data is None):
        raise typer.BadParameter("--data and --index go together")
    chosen = _numbers(index) if index is not None else []
    from ..zoo.pretrained import weights_file

    file = weights_file(weights)
    answers = _known(file, data, split, chosen, top) if data else _files(file, images or [], top, invert)
    if json:
        print_json([_data(*answer) for answer in answers])
    else:
        _show(answers)
    if all(isinstance(said, Exception) for _, _, said in answers):
        raise typer.Exit(1)


def _files(weights: Path, words: list[str], top: int, invert: bool) -> list[Answer]:
    from ..zoo.classifier import Classifier

    files = [file for word in words for file in _inside(_path(word))]
    said = Classifier.open(weights).predict_files(files, top, invert=invert)
    return [(str(file), None, one) for file, one in zip(files, said, strict=True)]


def _path(word: str) -> Path:
    """A path, or that of a file: address. Any other address is wrong usage."""
    address = urlsplit(word)
    if "://" not in word and address.scheme != "file":
        return Path(word)
    if address.scheme != "file" or address.netloc not in ("", "localhost"):
        raise typer.BadParameter(f"{word} is not on this machine: download it and name the file")
    return Path(unquote(address.path))


def _inside(path: Path) -> list[Path]:
    """The images of a folder, or the path itself."""
    from ..zoo.training.data.assemble import IMAGES

    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGES)
    if not found:
        raise typer.BadParameter(f"the folder {path} holds no images")
    return found


def _known(weights: Path, data: str, split: str, indices: list[int], top: int) -> list[Answer]:
    from ..zoo.classifier import Classifier
    from ..zoo.training.data import open_data

    held = open_data(data)
    classifier = Classifier.open(weights, held)
    chosen = held.split(split)  # type: ignore[arg-type]
    said, labels = classifier.predict_numbers(chosen, indices, top)
    words = [None if label is None else held.classes[label] for label in labels]
    names = [f"{data}/{split}/{index}" for index in indices]
    return list(zip(names, words, said, strict=True))


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list of numbers: 0,1,2", param_hint="--index") from None


def _show(answers: list[Answer]) -> None:
    from ..zoo.training.data import UNFIT

    good = [(name, label, said) for name, label, said in answers if not isinstance(said, Exception)]
    for name, _, said in answers:
        if isinstance(said, Exception):
            typer.echo(f"{name}: {UNFIT} {said}", err=True)
    if good:
        labelled = any(label is not None for _, label, _ in good)
        ranks = [f"{rank}." for rank in range(1, len(good[0][2].top) + 1)]
        table(("image", *(["label"] if labelled else []), *ranks), [_row(*answer) for answer in good])


def _row(name: str, label: str | None, said: Prediction) -> tuple[str, ...]:
    ranks = (f"{word} {probability:.3f}" for word, probability in said.top)
    return (name, *([label] if label is not None else []), *ranks)


def _data(name: str, label: str | None, said: Prediction | BadImage) -> dict[str, object]:
    told: dict[str, object] = {"bad": str(said)} if isinstance(said, Exception) else {"top": said.facts()}
    return {"image": name, **({"label": label} if label is not None else {}), **told}
