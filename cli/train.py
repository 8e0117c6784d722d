"""mixspec train: fresh weights, made here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._options import Image, Json, Model
from ._table import print_json
from ._trained import DataSet, Seed

Output = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the weights and the log.")]
RecipeName = Annotated[
    str | None, typer.Option("--recipe", metavar="NAME_OR_PATH", help="The recipe; the data's own if left out.")
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", min=1, help="Passes over the images; the recipe's if left out.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the files of another training in DIR.")]


def command(
    model: Model,
    output: Output,
    data: DataSet = "digits",
    recipe: RecipeName = None,
    epochs: Epochs = None,
    seed: Seed = 0,
    image: Image = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Train a network and keep the last weights and the best ones.

    After every epoch DIR holds last.safetensors, best.safetensors (by accuracy on the validation images) and log.csv.
    The network gets as many classes as the data has.
    """
    from ..compiler import recipe as recipes
    from ..zoo.load import network
    from ..zoo.training.data import SETS
    from ..zoo.training.loop import train
    from ..zoo.training.watch import Bar

    images = SETS[data]()
    net = network(model, image=image, classes=len(images.classes))
    way = recipes.read(recipe or data)
    with Bar() as bar:
        done = train(
            net, way.lasting(epochs) if epochs else way, images, output, seed=seed, overwrite=overwrite, watch=bar
        )
    best = done.best_epoch
    if json:
        about = {"name": net.name, "digest": net.digest, "best": str(done.best), "last": str(done.last)}
        seen = {"best_epoch": best.epoch, "val_top1": best.val_top1, "val_loss": best.val_loss}
        print_json({**about, "epochs": len(done.epochs), **seen})
    else:
        typer.echo(f"{done.best}: epoch {best.epoch}, {best.val_top1:.1f} % of the validation images right")
