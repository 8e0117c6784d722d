"""mixspec plot: pictures of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._group import group
from ._pictures import PictureOrDefault

app = group("plot")

Folders = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders that `mixspec train` wrote.")]


@app.callback()
def command() -> None:
    """Draw curves of trainings."""


@app.command("run")
def run(folders: Folders, picture: PictureOrDefault = None) -> None:
    """Loss, accuracy, learning rate and speed of one training, or of several in one picture."""
    from ..zoo.plots import draw

    path = picture or folders[0] / "curves.png"
    draw(folders, path)
    typer.echo(path)
