"""mixspec demo: everything once, in about two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..compiler.cost import count
from ..compiler.show import outline
from ._table import table
from ._trained import Seed

SPECS = ("digits_cadasp", "digits_hpx_attention")
Output = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for weights, log and picture.")]


def command(output: Output = Path("demo-output"), seed: Seed = 0) -> None:
    """Compile two specs, train one of them on handwritten digits, save it, read it back, show what it says.

    Files of an earlier demonstration in DIR are replaced.
    """
    from ..zoo.demo import GOAL, demonstrate
    from ..zoo.load import network
    from ..zoo.training.watch import Bar

    networks = [network(name) for name in SPECS]
    for net in networks:
        typer.secho(f"{net.name}: {net.about.description}", bold=True)
        lines = outline(net, net.at)
        rows = [(line.path, str(line.grid), line.what, line.cost.params, line.cost.macs) for line in lines]
        total = count(net)
        table(("part", "grid", "layer", "params", "MACs"), [*rows, ("all", "", "", total.params, total.macs)])
        typer.echo()
    typer.echo(f"Training {networks[0].name} on the handwritten digits of scikit-learn:")
    with Bar() as bar:
        result = demonstrate(networks[0], output, typer.echo, seed=seed, watch=bar)
    typer.echo(f"{result.weights}  the weights, with their spec in the header")
    typer.echo(f"{result.picture}  the kernels it has learnt")
    typer.echo(f"{result.top1:.2f} % of the test images right, in {result.seconds:.0f} seconds")
    if result.top1 < GOAL:
        typer.echo(f"fewer than the {GOAL:.0f} % it should reach", err=True)
        raise typer.Exit(1)
