"""mixspec traits: what networks assume about images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..compiler.catalogue import load
from ..compiler.relations import RELATIONS, Relation
from ..compiler.resolve import placed, resolve
from ..compiler.traits import HEADS, Row, by_stage, every, words
from ._options import Image, Json, side
from ._table import print_json, table

if TYPE_CHECKING:
    from ..compiler.measure.compare import Compared

Model = Annotated[
    str | None, typer.Argument(metavar="NAME_OR_PATH", help="A shipped model's name, a file, or - for standard input.")
]
Every = Annotated[bool, typer.Option("--all", help="Every mixer, and the papers' tables.")]
Measure = Annotated[bool, typer.Option("--measure", help="Read the same off small instances that run.")]


def command(
    model: Model = None, every_mixer: Every = False, measure: Measure = False, image: Image = None, json: Json = False
) -> None:
    """Show what the mixers of a network assume, stage by stage.

    positions and channels: which an output sees; reach: how far, in positions. over positions, over channels: what the
    weights are shared over. weights: static, or predicted once per image or per position; context: from how far away.
    any size: whether the same weights run on maps of any size. --measure builds each mixer with random weights on a
    small map, reads all this off its connection matrix, and ends with exit code 1 where a mixer is not what it says.
    """
    if (model is None) != every_mixer:
        raise typer.BadParameter("name a model, or ask for all mixers with --all: one of the two")
    if model is None:
        data, rows = {}, every()
    else:
        network = resolve(load(model))
        at = placed(network, image)
        data, rows = {"name": network.name, "image": side(at)}, by_stage(network, at)
    compared = _compare(rows) if measure else []
    if json:
        print_json({**data, "mixers": _data(rows, compared), **(_relations() if model is None else {})})
    else:
        _print(rows, compared)
        for relation in RELATIONS if model is None else ():
            _print_relation(relation)
    if any(one.differences for one in compared):
        raise typer.Exit(1)


def _compare(rows: Sequence[Row]) -> list[Compared]:
    from ..compiler.measure.compare import compare

    try:
        return [compare(row.mixer, row.at) for row in rows]
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _data(rows: Sequence[Row], compared: Sequence[Compared]) -> list[dict[str, Any]]:
    data = [row.data() for row in rows]
    for entry, one in zip(data, compared, strict=False):
        entry["measured"] = {
            "on": str(one.at),
            "declared": asdict(one.declared),
            "measured": asdict(one.measured),
            "differences": list(one.differences),
        }
    return data


def _relations() -> dict[str, Any]:
    return {
        "relations": [
            {"source": relation.source, "columns": ["name", "mixer", *relation.heads], "rows": list(relation.rows())}
            for relation in RELATIONS
        ]
    }


def _print(rows: Sequence[Row], compared: Sequence[Compared]) -> None:
    if not rows:
        typer.echo("The network is no tree of layers: nothing is declared.")
        return
    lines = [[row.path, str(row.mixer), str(row.at), *words(row.traits, row.at.c)] for row in rows]
    for line, one in zip(lines, compared, strict=False):
        line += [str(one), str(one.at)]
    measured = ("measured", "on") if compared else ()
    table(("stage", "mixer", "grid", *HEADS, *measured), lines)


def _print_relation(relation: Relation) -> None:
    typer.echo(f"\n{relation.source}")
    table(("", "mixer", *relation.heads), relation.rows())
