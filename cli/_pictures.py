"""Parameters that name a picture to write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..zoo.picture import FORMATS


def picture(text: str) -> Path:
    """The file of a picture. Another ending is wrong usage, and said before anything is computed for it."""
    path = Path(text)
    if path.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"{text} is no picture: {', '.join(FORMATS)}")
    return path


Picture = Annotated[
    Path, typer.Option("--picture", "-p", metavar="FILE", parser=picture, help="Where to draw it: .png, .pdf, .svg.")
]
PictureOrDefault = Annotated[
    Path | None,
    typer.Option(
        "--picture", "-p", metavar="FILE", parser=picture, help="A .png, .pdf or .svg; DIR/curves.png, if not."
    ),
]
Confusion = Annotated[
    Path | None,
    typer.Option(
        "--confusion", metavar="FILE", parser=picture, help="Draw true classes against answers: .png, .pdf, .svg."
    ),
]
