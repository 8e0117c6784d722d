"""mixspec plot: pictures of what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="plot", add_completion=False, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
)

Folders = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders that `mixspec train` wrote.")]
Picture = Annotated[
    Path | None,
    typer.Option("--picture", "-p", metavar="FILE", help="A .png, .svg or .pdf; DIR/curves.png, if not."),
]


@app.callback()
def command() -> None:
    """Draw curves of trainings."""


@app.command("run")
def run(folders: Folders, picture: Picture = None) -> None:
    """Loss, accuracy, learning rate and speed of one training, or of several in one picture."""
    from ..zoo.plots import draw

    path = picture or folders[0] / "curves.png"
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise typer.BadParameter(f"{path.name} must end in .png, .svg or .pdf", param_hint="--picture")
    draw(folders, path)
    typer.echo(path)
