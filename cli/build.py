"""mixspec build: a network as a torch module, with its weights in a file if asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import Image, Json, Model
from ._table import print_json, table
from ._trained import WINDOWS, Seed, WindowRule

if TYPE_CHECKING:
    from torch import nn

    from ..compiler.backbone import Backbone

Save = Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Write the weights to this file.")]
Pretrained = Annotated[
    bool, typer.Option("--pretrained", help="Take the zoo's weights of the network: see mixspec zoo.")
]
WeightsName = Annotated[
    str | None,
    typer.Option("--weights", metavar="WEIGHTS", help="Take these weights: a file, a name in the zoo, hf://org/name."),
]
Resample = Annotated[
    WindowRule | None, typer.Option("--resample", help=f"Fit the weights to the spec's sizes: {WINDOWS}")
]
Classes = Annotated[
    int | None,
    typer.Option("--classes", min=0, help="Another number of classes than the spec's, with a fresh classifier."),
]
Freeze = Annotated[
    bool, typer.Option("--freeze", help="Show the inference copy: norms folded, filters computed, dropout left out.")
]


def command(
    model: Model,
    save: Save = None,
    pretrained: Pretrained = False,
    weights: WeightsName = None,
    seed: Seed = 0,
    image: Image = None,
    classes: Classes = None,
    resample: Resample = None,
    freeze: Freeze = False,
    json: Json = False,
) -> None:
    """Build a network as a torch module and list its modules.

    Fresh weights follow from the seed; --pretrained fetches trained ones, once. With --save they go into one
    safetensors file, which carries the spec.
    """
    if freeze and save:
        raise typer.BadParameter("a frozen network has no weights of its spec to save", param_hint="--freeze")
    if pretrained and weights:
        raise typer.BadParameter("the zoo's weights, or others: one of the two", param_hint="--pretrained, --weights")
    trained = pretrained or weights or False
    if resample and not trained:
        raise typer.BadParameter("there are no weights to resample: --weights FILE", param_hint="--resample")
    from ..zoo.load import build
    from ..zoo.weights import save as write

    made = build(model, pretrained=trained, seed=seed, image=image, classes=classes, resample=resample)
    if save:
        write(made, save)
    if freeze:
        from ..compiler.freeze import freeze as frozen

        made = frozen(made)
    if json:
        print_json(_data(made))
    else:
        _print(made, save)


def _data(model: Backbone) -> dict[str, Any]:
    from ..zoo.weights import network_of

    network = network_of(model)
    modules = [{"path": path, "module": what, "parameters": number} for path, what, number in summary(model)]
    total = {"parameters": _parameters(model), "tensors": len(model.state_dict())}
    return {"name": network.name, "digest": network.digest, **total, "modules": modules}


def _print(model: Backbone, file: Path | None) -> None:
    """The modules, and what is in the file that was written."""
    from ..zoo.weights import network_of

    table(("path", "module", "parameters"), [*summary(model), ("", "total", _parameters(model))])
    if file:
        typer.echo(f"\nwrote {file}: {len(model.state_dict())} tensors, digest {network_of(model).digest[:12]}")


def summary(model: Backbone) -> list[tuple[str, str, int]]:
    """Path, name and parameters of the modules that a reader of the spec knows: stem, mixers, MLPs, head."""
    from ..compiler.bound import Bound
    from ..compiler.operator import Operator

    rows: list[tuple[str, str, int]] = []
    for path, module in model.named_modules():
        inside = any(path.startswith(f"{row[0]}.") for row in rows)
        known = isinstance(module, Bound) and isinstance(module.layer, Operator)
        if known or path.rpartition(".")[2] in ("stem", "downsample", "head", "shortcut"):
            rows += [] if inside else [(path, _name(module), _parameters(module))]
    return rows


def _name(module: nn.Module) -> str:
    from ..compiler.operator import Operator

    layer = getattr(module, "layer", module)
    return str(layer) if isinstance(layer, Operator) else type(layer).__name__


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
