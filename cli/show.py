"""mixspec show: a network as it is meant, with every default filled in."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from ..compiler.catalogue import load
from ..compiler.cost import cost
from ..compiler.grid import Grid
from ..compiler.resolve import Network, placed, resolve
from ..compiler.show import Line, outline, si, tree
from ._options import Image, Json, Model, side
from ._table import print_json, table

Depth = Annotated[
    int | None, typer.Option("--depth", min=1, metavar="LEVELS", help="Show the tree of layers, so many levels down.")
]
Tree = Annotated[bool, typer.Option("--tree", help="Show the tree of all layers. Equal neighbours share a line.")]


def command(
    model: Model, depth: Depth = None, all_layers: Tree = False, image: Image = None, json: Json = False
) -> None:
    """Show a network stage by stage: grids, widths, mixers, cost.

    Grids and widths are those of the output. MACs are multiply-adds for one image. With --tree or --depth a line is a
    layer, under the path that it has in the state dict.
    """
    network = resolve(load(model))
    at = placed(network, image)
    layers = tree(network.family, at, depth) if all_layers or depth else None
    if json:
        lines = [line for _, line in layers] if layers else outline(network, at)
        print_json({**_head(network, at), "layers" if layers else "outline": [line.data() for line in lines]})
        return
    _print_head(network, at)
    if layers:
        table(("part", "layer", "grid", "width", "params", "MACs"), (_branch(level, line) for level, line in layers))
    else:
        table(("part", "grid", "width", "depth", "mixer", "params", "MACs"), map(_row, outline(network, at)))


def _head(network: Network, at: Grid) -> dict[str, Any]:
    return {
        "name": network.name,
        "description": network.about.description,
        "image": side(at),
        "digest": network.digest,
        "canonical": network.canonical(),
        **asdict(cost(network.family, at)),
    }


def _print_head(network: Network, at: Grid) -> None:
    total = cost(network.family, at)
    typer.secho(network.name, bold=True, nl=False)
    typer.echo(
        f"  {network.family.notation}, {network.family.in_chans} x {at.h} x {at.w}, digest {network.digest[:12]}"
    )
    if network.about.description:
        typer.echo(network.about.description)
    fft = f", {si(total.fft_flops)} FFT flops" if total.fft_flops else ""
    kept = si(total.activation_bytes, "B")
    typer.echo(f"{si(total.params)} parameters, {si(total.macs)} MACs{fft}, {kept} kept for backward\n")


def _row(line: Line) -> tuple[object, ...]:
    grid, mixer = f"{line.grid.h}x{line.grid.w}", line.what if line.depth else ""
    return line.path, grid, str(line.grid.c), line.depth, mixer, _si(line.cost.params), _si(line.cost.macs)


def _branch(level: int, line: Line) -> tuple[object, ...]:
    name = "  " * level + line.path.rpartition(".")[2]
    return name, line.what, f"{line.grid.h}x{line.grid.w}", line.grid.c, _si(line.cost.params), _si(line.cost.macs)


def _si(number: int) -> str:
    return si(number) if number else "-"
