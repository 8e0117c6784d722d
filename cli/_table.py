"""What commands print: columns of text for people and grep, never wrapped, or JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import typer


def print_json(data: object) -> None:
    """Print data as indented JSON."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under bold heads. Numbers stand right, with thousands apart, everything else left."""
    lines = list(rows)
    cells = [list(heads), *([_text(value) for value in row] for row in lines)]
    right = [any(isinstance(row[i], int) for row in lines) for i in range(len(heads))]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    for index, row in enumerate(cells):
        padded = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)]
        typer.secho("  ".join(padded).rstrip(), bold=index == 0)


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else "" if value is None else str(value)
