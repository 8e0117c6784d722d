"""How much smaller than the image the maps of a network are."""

from __future__ import annotations

from collections.abc import Iterator

from ..family import Family
from ..grid import Grid
from ..layer import Parts, Sequence, place

PROBE = 4096
"""Side of a map so large that rounding hides no stride."""


def strides(family: Family, at: Grid, parts: Parts) -> tuple[int, ...]:
    """The stride of every stage's output against the image; none for a network that has no stages of its own."""
    found = tuple(_sides(at, parts))
    if all(at.h % side == 0 and _is_power(at.h // side) for side in found):
        return tuple(at.h // side for side in found)
    probe = Grid(PROBE, PROBE, at.c)
    return tuple(round(PROBE / side) for side in _sides(probe, family.parts(probe)))


def _sides(at: Grid, parts: Parts) -> Iterator[int]:
    """The height of every stage's output."""
    if "stages" not in parts:
        return
    stages = place(parts["stages"], at)
    assert isinstance(stages.layer, Sequence)
    grid = stages.at
    for stage in stages.layer.layers:
        grid = stage.out(grid)
        yield max(grid.h, 1)


def _is_power(number: int) -> bool:
    return number & (number - 1) == 0
