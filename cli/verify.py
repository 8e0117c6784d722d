"""mixspec verify: whether weights are what is said of them."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from ..zoo import entries
from ._options import Json
from ._table import print_json, table

Names = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME]...", help="Weights in the zoo, or specs that have some.")
]
Every = Annotated[bool, typer.Option("--all", help="All weights that ship.")]
Retrain = Annotated[bool, typer.Option("--retrain", help="Train every seed again: minutes for each network.")]


def command(names: Names = None, every: Every = False, retrain: Retrain = False, json: Json = False) -> None:
    """Work out again every figure that is stated of weights: digests, costs, traits, accuracies, their spread.

    Costs are counted in the tree and off the module as it runs; traits are read off small instances. Weights that ship
    are evaluated again: accuracies must be the same, losses to the fourth digit. What only others can measure is
    listed. Exit code 1 where something is not as stated.
    """
    if bool(names) == every:
        raise typer.BadParameter("name weights, or ask for all that ship with --all")
    chosen = [entry for entry in entries.every() if entry.shipped] if every else [entries.of(n) for n in names or ()]
    from ..zoo.verify import failed, verify

    found = {entry.name: verify(entry, retrain=retrain) for entry in chosen}
    if json:
        print_json({name: [check.facts() for check in checks] for name, checks in found.items()})
    for name, checks in [] if json else found.items():
        rows = [(c.what, _short(c.stated), _short(c.found or ""), _verdict(c.found, c.right)) for c in checks]
        table((name, "stated", "found", ""), rows)
        typer.echo(f"{len(checks)} figures, {len(failed(checks))} wrong\n")
    if any(failed(checks) for checks in found.values()):
        raise typer.Exit(1)


def _verdict(found: str | None, right: bool) -> str:
    return "not checked" if found is None else "ok" if right else "WRONG"


def _short(text: str) -> str:
    """A digest by its first digits."""
    return text[:12] if re.fullmatch(r"[0-9a-f]{64}", text) else text
