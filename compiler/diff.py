"""What changed between two networks: settings, and stage by stage shapes and costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from .grid import Cost
from .resolve import Network
from .show import Line, outline

FIGURES = ("params", "macs", "fft_flops", "activation_bytes")
TITLES = {"params": "params", "macs": "MACs", "fft_flops": "FFT flops", "activation_bytes": "activation bytes"}


@dataclass(frozen=True, slots=True)
class Row:
    """One part of the networks, stages aligned by number: what it is and costs before and after."""

    path: str
    old: Line | None
    new: Line | None

    @property
    def title(self) -> str:
        """``stage 3`` for ``stages.2``."""
        head, _, index = self.path.partition(".")
        return f"stage {int(index) + 1}" if head == "stages" and index.isdecimal() else self.path

    @property
    def changed(self) -> bool:
        return self.old != self.new

    @property
    def shape(self) -> str:
        """``28x28x128 -> 14x14x128``, or the one shape where it stays."""
        return _arrow(*(str(line.grid) if line else "" for line in (self.old, self.new)))

    @property
    def what(self) -> str:
        return _arrow(*(_blocks(line) if line else "" for line in (self.old, self.new)))


@dataclass(frozen=True)
class Change:
    """Everything that differs between two networks. A side is None where there is no such network."""

    old: Network | None
    new: Network | None
    settings: tuple[tuple[str, object, object], ...]
    rows: tuple[Row, ...]
    before: Cost
    after: Cost

    @property
    def title(self) -> str:
        if self.old is None or self.new is None:
            network, word = (self.new, "added") if self.old is None else (self.old, "removed")
            return f"{network.name if network else ''}: {word}"
        return _arrow(self.old.name, self.new.name)

    @property
    def same(self) -> bool:
        """Whether both mean the same network: weights and outputs, whatever they are called."""
        return self.old is not None and self.new is not None and self.old.digest == self.new.digest


def diff(old: Network | None, new: Network | None) -> Change:
    """Compare two networks, each at its own image size. One may be missing: a spec that was added or removed."""
    lines = [{line.path: line for line in outline(one, one.at)} if one else {} for one in (old, new)]
    paths = dict.fromkeys([*lines[0], *lines[1]])
    rows = tuple(Row(path, lines[0].get(path), lines[1].get(path)) for path in sorted(paths, key=_order))
    told = [dict(_flat(one.canonical())) if one else {} for one in (old, new)]
    settings = tuple(_settings(*told)) if old and new else ()
    before, after = (_total(one) for one in lines)
    return Change(old, new, settings, rows, before, after)


def _settings(old: dict[str, object], new: dict[str, object]) -> Iterator[tuple[str, object, object]]:
    """The keys that differ. Of an operator exchanged for another its type alone: their keys have nothing in common."""
    keys = [key for key in dict.fromkeys([*old, *new]) if old.get(key, "") != new.get(key, "")]
    exchanged = tuple(key.removesuffix("type") for key in keys if key.endswith(".type"))
    for key in keys:
        if key.endswith(".type") or not key.startswith(exchanged or "?"):
            yield key, old.get(key), new.get(key)


def _order(path: str) -> tuple[int, int, str]:
    head, _, index = path.partition(".")
    return {"stem": 0, "stages": 1}.get(head, 2), int(index) if index.isdecimal() else 0, path


def _total(lines: dict[str, Line]) -> Cost:
    return sum((line.cost for line in lines.values()), Cost())


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, object]]:
    """The leaves of nested mappings and lists, by path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _flat(item, f"{path}.{index}")
    else:
        yield path, value


def _blocks(line: Line) -> str:
    return f"{line.depth} x {line.what}" if line.depth is not None else ""


def _arrow(old: str, new: str) -> str:
    return new if old == new else f"{old or 'none'} -> {new or 'none'}"


def text(change: Change) -> str:
    """For a terminal: the settings that changed and a table of what differs."""
    lines = [change.title]
    if change.same:
        return f"{change.title}: the same network\n"
    lines += [f"  {key}: {_arrow(_word(old), _word(new))}" for key, old, new in change.settings]
    rows = [("", "shape", "blocks", *(TITLES[name] for name in _figures(change)))]
    rows += [_cells(row, change) for row in change.rows if row.changed]
    rows.append(("total", "", "", *(_delta(change.before, change.after, name) for name in _figures(change))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines += [f"  {'  '.join(cells)}".rstrip() for cells in padded]
    return "\n".join(lines) + "\n"


def markdown(change: Change) -> str:
    """For a comment on a pull request."""
    if change.same:
        return f"### {change.title}\n\nThe same network.\n"
    heads = ["", "shape", "blocks", *(TITLES[name] for name in _figures(change))]
    rows = [_cells(row, change) for row in change.rows if row.changed]
    totals = (_delta(change.before, change.after, name) for name in _figures(change))
    rows.append(("**total**", "", "", *(f"**{total}**" for total in totals)))
    settings = [f"- `{key}`: {_arrow(_word(old), _word(new))}" for key, old, new in change.settings]
    lines = [f"### {change.title}", "", *settings, *([""] if settings else [])]
    lines += [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def data(change: Change) -> dict[str, Any]:
    """For other programs."""
    return {
        "old": change.old.name if change.old else None,
        "new": change.new.name if change.new else None,
        "same": change.same,
        "settings": {key: {"old": old, "new": new} for key, old, new in change.settings},
        "parts": [
            {
                "path": row.path,
                "changed": row.changed,
                "old": row.old.data() if row.old else None,
                "new": row.new.data() if row.new else None,
                "delta": _deltas(*(line.cost if line else Cost() for line in (row.old, row.new))),
            }
            for row in change.rows
        ],
        "total": {
            "old": asdict(change.before),
            "new": asdict(change.after),
            "delta": _deltas(change.before, change.after),
        },
    }


def _cell(text: str) -> str:
    return text.replace("->", "→").replace("|", "\\|")


def _deltas(old: Cost, new: Cost) -> dict[str, int]:
    return {name: getattr(new, name) - getattr(old, name) for name in FIGURES}


def _figures(change: Change) -> list[str]:
    """The figures worth a column: FFT work only where there is some."""
    return [name for name in FIGURES if name != "fft_flops" or change.before.fft_flops or change.after.fft_flops]


def _cells(row: Row, change: Change) -> tuple[str, ...]:
    costs = [line.cost if line else Cost() for line in (row.old, row.new)]
    return (row.title, row.shape, row.what, *(_delta(costs[0], costs[1], name) for name in _figures(change)))


def _delta(old: Cost, new: Cost, name: str) -> str:
    """``26,774,448 (-1.6%)``: the new figure, and how it changed."""
    before, after = getattr(old, name), getattr(new, name)
    if before == after:
        return f"{after:,}"
    share = f"{after / before - 1:+.1%}" if before else "new"
    return f"{after:,} ({after - before:+,}; {share})"


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "none" if value is None else str(value)
