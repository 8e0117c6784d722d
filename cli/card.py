"""mixspec card: the model card of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..compiler.catalogue import load
from ..compiler.resolve import resolve
from ..zoo import entries
from ..zoo.atomic import replacing
from ..zoo.card import card
from ._options import Models

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="DIR", help="Write NAME.md into this folder; else print the cards."),
]


def command(models: Models, output: Output = None) -> None:
    """Write the model card of networks: architecture, costs, inductive biases, published figures, shipped weights.

    Everything on a card comes from the spec, or from the weights that ship and their entry, so that it can be made
    again and compared.
    """
    for model in models:
        text, name = rendered(model)
        if output is None:
            typer.echo(text, nl=False)
            continue
        output.mkdir(parents=True, exist_ok=True)
        with replacing(output / f"{name}.md") as temporary:
            temporary.write_text(text, "utf-8")


def rendered(model: str) -> tuple[str, str]:
    """The card of a spec and its name, with the weights that ship under that name."""
    network = resolve(load(model))
    shipped = [entry for entry in entries.every() if entry.shipped and entry.spec == network.name]
    if not shipped:
        return card(network), network.name
    from ..zoo.weights import header

    return card(network, header(shipped[0].file), shipped[0]), network.name
