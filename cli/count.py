"""mixspec count: what networks cost."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer

from ..compiler.catalogue import load
from ..compiler.checkpointing import Every
from ..compiler.cost import cost, recounted
from ..compiler.grid import Cost, Grid
from ..compiler.resolve import Network, placed, resolve
from ..compiler.show import outline, portions
from ._options import Image, Json, Models, side
from ._table import print_json, table

By = Literal["model", "stage", "block", "layer"]
FIGURES = ("params", "MACs", "FFT flops", "activation bytes")


def command(
    models: Models,
    image: Image = None,
    by: Annotated[By, typer.Option(help="What a line stands for.")] = "model",
    checkpoint: Annotated[
        Every | None,
        typer.Option(help="Activation bytes of a training that computes every block, or every mixer, again."),
    ] = None,
    json: Json = False,
) -> None:
    """Count parameters, multiply-adds, FFT work and the memory that training needs.

    All figures are exact, and for one image. MACs are multiply-adds of convolutions, linear maps, matrix products and
    aggregations. FFT work is counted apart, in flops. Activation bytes are what backward keeps, in float32.
    """
    if checkpoint and by != "model":
        raise typer.BadParameter("it is counted for whole networks: --by model", param_hint="--checkpoint")
    networks = [resolve(load(model)) for model in models]
    grids = [placed(network, image) for network in networks]
    if json:
        print_json([_data(network, at, by, checkpoint) for network, at in zip(networks, grids, strict=True)])
    elif by == "model":
        totals = [recounted(n.family, at, checkpoint) for n, at in zip(networks, grids, strict=True)]
        rows = [(n.name, _size(at), *_figures(one)) for n, at, one in zip(networks, grids, totals, strict=True)]
        table(("model", "image", *FIGURES), rows)
    else:
        for network, at in zip(networks, grids, strict=True):
            lines = outline(network, at) if by == "stage" else portions(network.family, at, by)
            rows = [(line.path, str(line.grid), line.what, *_figures(line.cost)) for line in lines]
            total = (network.name, _size(at), "", *_figures(cost(network.family, at)))
            table(("path", "grid", "layer", *FIGURES), [*rows, total])


def _data(network: Network, at: Grid, by: By, checkpoint: Every | None) -> dict[str, Any]:
    lines = outline(network, at)
    data = {
        "name": network.name,
        "family": network.family.notation,
        "digest": network.digest,
        "image": side(at),
        **asdict(recounted(network.family, at, checkpoint)),
        "stages": [line.data() for line in lines if line.depth is not None],
        "others": [line.data() for line in lines if line.depth is None],
    }
    if by in ("block", "layer"):
        data[f"{by}s"] = [line.data() for line in portions(network.family, at, by)]
    return data


def _figures(total: Cost) -> tuple[int, ...]:
    return total.params, total.macs, total.fft_flops, total.activation_bytes


def _size(at: Grid) -> str:
    return f"{at.h}x{at.w}"
