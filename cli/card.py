"""mixspec card: the model card of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..compiler.catalogue import load
from ..compiler.resolve import resolve
from ..zoo.atomic import replacing
from ..zoo.card import card
from ._options import Models

Output = Annotated[
    Path | None, typer.Option("--output", metavar="DIR", help="Write NAME.md into this folder; else print the cards.")
]


def command(models: Models, output: Output = None) -> None:
    """Write the model card of networks: architecture, costs, inductive biases, published figures.

    Everything on a card comes from the spec, so that it can be made again and compared.
    """
    for model in models:
        network = resolve(load(model))
        if output is None:
            typer.echo(card(network), nl=False)
            continue
        output.mkdir(parents=True, exist_ok=True)
        with replacing(output / f"{network.name}.md") as temporary:
            temporary.write_text(card(network), "utf-8")
