"""mixspec transfer: trained weights for an edited spec."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import Json
from ._table import print_json, table
from ._trained import WINDOWS, Seed, Weights, WindowRule

if TYPE_CHECKING:
    from ..zoo.transfer import Transferred

New = Annotated[str, typer.Argument(metavar="NEW", help="The edited spec: a file, or a shipped name.")]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The weights file to write.")]
Resample = Annotated[WindowRule, typer.Option("--resample", help=f"How weights are resized: {WINDOWS}")]
Strict = Annotated[bool, typer.Option("--strict", help="Write nothing and end with 1 where weights would be lost.")]


def command(
    weights: Weights,
    new: New,
    output: Output,
    seed: Seed = 0,
    resample: Resample = "coverage",
    strict: Strict = False,
    json: Json = False,
) -> None:
    """Move trained weights to an edited network, and say by path what became of them.

    Weights are kept where the path, the kind and the shape are the same; kernels, windows, position tables and
    implicit filters are resized; wider MLPs and kernels are filled so, and blocks that a stage gains start so, that the
    function stays. The rest is re-initialised, or dropped. The last line says by how much outputs changed.
    """
    from ..zoo.load import load, network
    from ..zoo.pretrained import weights_file
    from ..zoo.transfer import transfer
    from ..zoo.weights import header, save

    file = weights_file(weights)
    held = header(file)
    done = transfer(load(file), held.network, network(new), seed=seed, reach=resample)
    refused = strict and bool(done.lost)
    if not refused:
        origin = {"transferred_from": {"name": held.network.name, "digest": held.digest}}
        same = done.model.num_classes == held.network.family.classes
        save(done.model, output, metrics=origin, data=held.data if same else None)
    if json:
        print_json({"from": str(file), "to": new, **done.facts(), "written": None if refused else str(output)})
    else:
        _print(done)
        typer.echo("nothing written: weights would be lost" if refused else f"wrote {output}")
    if refused:
        raise typer.Exit(1)


def _print(done: Transferred) -> None:
    rows = [(line.fate.what, line.path, line.tensors, line.numbers, line.fate.why) for line in done.lines]
    table(("", "path", "tensors", "numbers", "why"), rows)
    if done.change is None:
        typer.echo("\noutputs cannot be compared: the networks read other images")
    else:
        typer.echo(f"\n{done.compared} change by at most {done.change:.1e} (the largest is {done.scale:.1e})")
