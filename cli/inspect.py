"""mixspec inspect: what the kernels of a trained network have become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import Json
from ._table import print_json, table
from ._trained import Weights

if TYPE_CHECKING:
    from ..compiler.backbone import Backbone

Threshold = Annotated[
    float, typer.Option("--threshold", help="Values of a filter's window below this count as zero; 0 to 1.")
]


def command(weights: Weights, threshold: Threshold = 0.05, json: Json = False) -> None:
    """Say how alike base kernels are, and how large global filters have become.

    For CADA, CADAsp, DA and DAsp: the mean magnitude of the correlation among the base kernels of a head, and with the
    position kernel. For Hpx: the diameter of the learnt window in taps, and over the side of the map.
    """
    from ..zoo.pretrained import weights_file
    from ..zoo.weights import load

    model = load(weights_file(weights))
    found = {"correlation": _correlations(model), "kernel_size": _kernel_sizes(model, threshold)}
    if not any(found.values()):
        _nothing(model)
    if json:
        print_json({"weights": str(weights), "threshold": threshold, **found})
        return
    if rows := found["correlation"]:
        figures = [
            (x["path"], x["mixer"], x["heads"], x["kernels"], _three(x["base"]), _three(x["position"])) for x in rows
        ]
        table(("mixer", "what", "heads", "base kernels", "mean |r| of pairs", "with position"), figures)
    if rows := found["kernel_size"]:
        typer.echo("" if not found["correlation"] else "\n", nl=False)
        sizes = [(x["path"], x["kernel"], x["map_side"], *(_one(x[key]) for key in SIZES), x["coverage"]) for x in rows]
        table(("mixer", "K", "map", "diameter", "smallest", "largest", "coverage"), sizes)


SIZES = ("diameter", "smallest", "largest")


def _correlations(model: Backbone) -> list[dict[str, Any]]:
    from ..zoo.tools.banks import has_banks
    from ..zoo.tools.correlation import correlations

    return [vars(row) for row in correlations(model)] if has_banks(model) else []


def _kernel_sizes(model: Backbone, threshold: float) -> list[dict[str, Any]]:
    from ..zoo.tools.kernel_size import filters, kernel_sizes

    return [vars(row) for row in kernel_sizes(model, threshold)] if any(filters(model)) else []


def _nothing(model: Backbone) -> None:
    from ..compiler.errors import SpecError
    from ..zoo.tools.banks import NOTHING_THERE

    name = model.resolved.name if model.resolved else "the model"
    what = f"{name} has neither base kernels nor implicit filters on maps"
    raise SpecError.of(NOTHING_THERE, what, "CADA, CADAsp, DA and DAsp have the ones, Hpx the others")


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _one(value: float) -> str:
    return f"{value:.1f}"
