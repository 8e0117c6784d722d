"""What commands print: columns of text for people and grep, never wrapped, or JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

import typer

_NUMBER = re.compile(r"-?|[\d.,]+[kMGTP]?")


def print_json(data: object) -> None:
    """Print data as indented JSON."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under bold heads. Numbers stand right, with thousands apart, everything else left."""
    cells = [list(heads), *([_text(value) for value in row] for row in rows)]
    right = [all(_NUMBER.fullmatch(row[i]) for row in cells[1:]) for i in range(len(heads))]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    for index, row in enumerate(cells):
        padded = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)]
        typer.secho("  ".join(padded).rstrip(), bold=index == 0)


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)
