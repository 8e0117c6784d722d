"""mixspec train: fresh weights, made here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ._options import Image, Json, Model
from ._table import print_json
from ._trained import DataSet, Seed

if TYPE_CHECKING:
    from ..compiler.recipe import Recipe
    from ..compiler.resolve import Network
    from ..zoo.training.loop import Trained
    from ..zoo.training.settings import Tracker

Output = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the weights and the logs.")]
RecipeName = Annotated[
    str | None,
    typer.Option("--recipe", metavar="NAME_OR_PATH", help="The recipe; the data's own, or the spec's, if left out."),
]
Epochs = Annotated[
    int | None, typer.Option("--epochs", min=1, help="Passes over the images; the recipe's if left out.")
]
BatchSize = Annotated[int | None, typer.Option("--batch-size", min=1, help="Images of an update; the recipe's.")]
Parts = Annotated[
    int | None, typer.Option("--grad-accum-steps", min=1, help="Parts of an update on each device; the recipe's.")
]
Precision = Annotated[
    Literal["fp32", "bf16", "fp16"] | None, typer.Option("--precision", help="Of the computation; the recipe's.")
]
Init = Annotated[str | None, typer.Option("--init", metavar="WEIGHTS", help="Start from a file, or from a zoo name.")]
Resume = Annotated[
    Literal["never", "auto"], typer.Option("--resume", help="auto: go on where DIR stopped; start where it is empty.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the files of another training in DIR.")]
Every = Annotated[
    str | None, typer.Option("--checkpoint-every", metavar="N|Nm", help="Also after so many updates, or minutes.")
]
Keep = Annotated[int, typer.Option("--keep", min=1, help="Checkpoints that stay; the best weights stay anyway.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes that read images, for each device.")]
Track = Annotated[
    list[str] | None, typer.Option("--track", metavar="NAME", help="Also log to tensorboard, wandb or trackio.")
]
Device = Annotated[Literal["auto", "cpu"], typer.Option("--device", help="cpu leaves a GPU alone.")]


def command(
    model: Model,
    output: Output,
    data: DataSet = "digits",
    recipe: RecipeName = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    grad_accum_steps: Parts = None,
    precision: Precision = None,
    init: Init = None,
    seed: Seed = 0,
    image: Image = None,
    resume: Resume = "never",
    overwrite: Overwrite = False,
    checkpoint_every: Every = None,
    keep: Keep = 2,
    workers: Workers = 0,
    track: Track = None,
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Train a network and keep the last weights and the best ones.

    After every epoch DIR holds last.safetensors, best.safetensors (by accuracy on the validation images), log.csv and a
    checkpoint. Ctrl-C and SIGTERM save and stop; --resume auto goes on, to the bit. The network gets as many classes as
    the data has. On several devices: accelerate launch $(which mixspec) train ...
    """
    from ..compiler.checked import changed
    from ..zoo.load import network
    from ..zoo.training.data import open_data
    from ..zoo.training.loop import train
    from ..zoo.training.settings import Settings
    from ..zoo.training.stopping import Stopped
    from ..zoo.training.watch import Bar

    updates, minutes = _every(checkpoint_every)
    images = open_data(data)
    net = network(model, image=image, classes=len(images.classes))
    way = _recipe(recipe, data, net)
    way = changed(
        way.lasting(epochs) if epochs else way,
        batch_size=batch_size,
        grad_accum_steps=grad_accum_steps,
        precision=precision,
        init=init,
    )
    settings = Settings(
        seed, resume, overwrite, updates, minutes, keep, workers, trackers=_trackers(track), cpu=device == "cpu"
    )
    try:
        with Bar() as bar:
            done = train(net, way, images, output, settings=settings, watch=bar)
    except Stopped as stopped:
        typer.echo(f"{stopped}; the same command with --resume auto goes on from {stopped.checkpoint}", err=True)
        raise typer.Exit(stopped.code) from None
    _show(net, done, json)


def _recipe(name: str | None, data: str, net: Network) -> Recipe:
    from ..compiler import recipe as recipes

    kind = data.partition("/")[0]
    known = name or (kind if kind in recipes.names() else net.about.recipe)
    if known is None:
        raise typer.BadParameter(f"name one: {', '.join(recipes.names())}", param_hint="--recipe")
    return recipes.read(known)


def _every(text: str | None) -> tuple[int | None, float | None]:
    """Updates or minutes between checkpoints."""
    if text is None:
        return None, None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", text)
    if not match or float(match[1]) == 0 or (not match[2] and "." in match[1]):
        raise typer.BadParameter(
            f"{text!r} is neither a number of updates nor of minutes: 500, 10m", param_hint="--checkpoint-every"
        )
    return (None, float(match[1])) if match[2] else (int(match[1]), None)


def _trackers(names: list[str] | None) -> tuple[Tracker, ...]:
    known: tuple[Tracker, ...] = ("tensorboard", "wandb", "trackio")
    for name in names or ():
        if name not in known:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(known)}", param_hint="--track")
    return tuple(name for name in known if name in (names or ()))


def _show(net: Network, done: Trained, json: bool) -> None:
    """The outcome, once for all processes."""
    from accelerate import PartialState

    best = done.best_epoch
    if not PartialState().is_main_process:
        return
    if json:
        about = {"name": net.name, "digest": net.digest, "best": str(done.best), "last": str(done.last)}
        seen = {"best_epoch": best.epoch, "val_top1": best.val_top1, "val_loss": best.val_loss}
        print_json({**about, "epochs": len(done.epochs), "skipped_updates": done.skipped, **seen})
        return
    typer.echo(f"{done.best}: epoch {best.epoch}, {best.val_top1:.1f} % of the validation images right")
    skipped = f", {done.skipped} update{'s' if done.skipped != 1 else ''} skipped" if done.skipped else ""
    typer.echo(f"{done.summary}{skipped}; curves: mixspec plot run {done.best.parent}")
