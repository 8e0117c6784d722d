"""A network to read: its outline by stages, its tree of layers, and portions that add up to the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from typing import Any, Literal

from .cost import cost, own
from .grid import Cost, Grid
from .layer import Layer, On, place
from .operator import Operator
from .parts import Leaf
from .resolve import Network

By = Literal["stage", "block", "layer"]


@dataclass(frozen=True, slots=True)
class Line:
    """A part of the network: its path, what it is, the grid it gives, and what it costs."""

    path: str
    what: str
    grid: Grid
    cost: Cost
    depth: int | None = None
    """Blocks of a stage; None for anything else."""

    def data(self) -> dict[str, Any]:
        """The line for other programs: sizes in positions and channels, figures under the names of ``Cost``."""
        sizes = {"grid": [self.grid.h, self.grid.w], "width": self.grid.c}
        if self.depth is None:
            return {"path": self.path, "layer": self.what, **sizes, **asdict(self.cost)}
        return {"path": self.path, **sizes, "depth": self.depth, "mixer": self.what, **asdict(self.cost)}


def outline(network: Network, at: Grid) -> list[Line]:
    """Stem, stages and head, in order, of every member of an ensemble; their costs add up to the network's."""
    stages = iter(zip(network.family.depths, network.family.mixers, strict=True))
    lines = []
    for line in portions(network.family, at, "stage"):
        if _STAGE.fullmatch(line.path):
            depth, mixer = next(stages)
            own = [
                str(other) for key, other in getattr(network.family, "blocks", ()) if key.startswith(f"{line.path}.")
            ]
            what = " | ".join(dict.fromkeys([str(mixer), *own]))
            line = Line(line.path, what, line.grid, line.cost, depth)
        lines.append(line)
    return lines


_MEMBERS = r"(members\.\d+\.)*"
_STAGE = re.compile(_MEMBERS + r"stages\.\d+")
_OPEN = {
    "stage": re.compile(rf"|{_MEMBERS}(members|members\.\d+|stages)"),
    "block": re.compile(rf"|{_MEMBERS}(members|members\.\d+|stages(\.\d+(\.blocks)?)?)"),
    "layer": re.compile(r".*"),
}
"""Paths of what is cut further; the members are those of an ensemble."""


def portions(layer: Layer, at: Grid, by: By, path: str = "") -> Iterator[Line]:
    """The tree cut at stages, blocks or single layers; the costs of all portions add up to the tree's."""
    placed = _children(layer, at, path)
    if not placed or not _OPEN[by].fullmatch(path):
        yield Line(path, describe(layer), layer.out(at), cost(layer, at))
        return
    if own(layer, at) != Cost():
        yield Line(path, describe(layer), layer.out(at), own(layer, at))
    for name, part in placed.items():
        yield from portions(part.layer, part.at, by, name)


def _children(layer: Layer, at: Grid, path: str) -> dict[str, On]:
    return {f"{path}.{name}" if path else name: place(part, at) for name, part in layer.parts(at).items()}


def tree(layer: Layer, at: Grid, most: int | None = None, path: str = "") -> Iterator[tuple[int, Line]]:
    """Every layer with its depth in the tree, at most ``most`` levels down. Equal neighbours are one line, ``0-2``."""
    level = path.count(".") + bool(path)
    if most is not None and level >= most:
        return
    run: list[str] = []
    children = list(_children(layer, at, path).items())
    for index, (name, part) in enumerate(children):
        run.append(name)
        if index + 1 < len(children) and children[index + 1][1] == part:
            continue
        last = run[-1].rpartition(".")[2]
        label = run[0] if len(run) == 1 else f"{run[0]}-{last}"
        yield level, Line(label, describe(part.layer), part.layer.out(part.at), _times(part, len(run)))
        yield from tree(part.layer, part.at, most, name)
        run = []


def _times(part: On, count: int) -> Cost:
    return sum([cost(part.layer, part.at)] * count, Cost())


def describe(layer: Layer) -> str:
    """What a layer is, in a few words: ``Conv 3 64 7 stride=4``, notation for whatever a spec can name."""
    if isinstance(layer, Operator):
        return layer.notation if hasattr(layer, "depths") else str(layer)
    words: list[str] = []
    if isinstance(layer, Leaf) and is_dataclass(layer):
        words = [_setting(field.name, getattr(layer, field.name), field.default) for field in fields(layer)]
    return " ".join([type(layer).__name__, *filter(None, words)])


def _setting(name: str, value: object, default: object) -> str:
    """A field in words; nothing for a default, nor for an initialisation."""
    if not isinstance(value, int | float | str | tuple) or value == default:
        return ""
    if isinstance(value, tuple):
        value = "x".join(map(str, value))
    return str(value) if default is MISSING else name if value is True else f"{name}={value}"


def si(number: int, unit: str = "") -> str:
    """``26341656`` as ``26.3M``, three digits; powers of 1000."""
    value, prefixes = float(number), ["", "k", "M", "G", "T", "P"]
    while value >= 999.5 and len(prefixes) > 1:
        value, prefixes = value / 1000, prefixes[1:]
    digits = 0 if not prefixes[0] and number < 1000 else max(0, 3 - len(str(int(value))))
    return f"{value:.{digits}f}{' ' if unit else ''}{prefixes[0]}{unit}"
