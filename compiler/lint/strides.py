"""How much smaller than the image the maps of a network are."""

from __future__ import annotations

from functools import lru_cache

from ..family import Family
from ..grid import Grid
from ..layer import Parts, Sequence, place

PROBE = 4096
"""Side of a map so large that rounding hides no stride."""


def strides(family: Family, at: Grid, parts: Parts) -> tuple[int, ...]:
    """The stride of every stage's output against the image; none for a network that has no stages of its own."""
    found = _sides(at, parts)
    if all(at.h % side == 0 and _is_power(at.h // side) for side in found):
        return tuple(at.h // side for side in found)
    probe = Grid(PROBE, PROBE, at.c)
    return tuple(round(PROBE / side) for side in _sides(probe, family.parts(probe)))


def _sides(at: Grid, parts: Parts) -> tuple[int, ...]:
    """The height of every stage's output."""
    if "stages" not in parts:
        return ()
    stages = place(parts["stages"], at)
    assert isinstance(stages.layer, Sequence)
    return _heights(stages.layer, stages.at)


@lru_cache(maxsize=512)
def _heights(stages: Sequence, at: Grid) -> tuple[int, ...]:
    heights = []
    for stage in stages.layers:
        at = stage.out(at)
        heights.append(max(at.h, 1))
    return tuple(heights)


def _is_power(number: int) -> bool:
    return number & (number - 1) == 0
