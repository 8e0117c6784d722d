"""A mixer on a map and a width as small as its traits still show on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from ..grid import Grid
from ..mixer import Mixer, Traits

LARGEST = 26
"""Rows of the largest map."""
WIDTHS = (8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512)


def tiny(mixer: Mixer, at: Grid) -> tuple[Mixer, Grid]:
    """The mixer, and a grid: wide enough for two heads, with room for the window around some positions, and not square.

    ``at`` is where it stands, or would. What a mixer was told about the size of its map is told anew. Raises ValueError
    for one that runs on no small map.
    """
    traits = mixer.traits(at) if not any(mixer.check(at)) else None
    for c in (*WIDTHS, at.c):
        for candidate, grid in _sized(mixer, c, traits):
            if 2 * candidate.traits(grid).channels_per_weight <= c:
                return candidate, grid
    for c in (*WIDTHS, at.c):
        for found in _sized(mixer, c, traits):
            return found
    raise ValueError(f"{mixer} runs on no map of {LARGEST} rows")


def _sized(mixer: Mixer, c: int, traits: Traits | None) -> Iterator[tuple[Mixer, Grid]]:
    """The mixer on a small map with c channels, if it is legal there."""
    stride = getattr(mixer, "stride", 1)
    side = 8 if traits is None else _side(replace(traits, kernel_rank=None), stride)
    for _ in range(3):
        grid = Grid(side, side + 1, c)
        fitted = _settled(mixer, grid)
        if fitted is None:
            return
        needed = _side(fitted.traits(grid), stride)
        if needed <= side:
            yield fitted, grid
            return
        side = needed


def _side(traits: Traits, stride: int) -> int:
    """Rows that show a reach to be one: more than a block, and enough whole windows for the rank."""
    if traits.reach is None:
        return 8
    if traits.space == "blocks":
        return max(8, min(traits.reach + 2, LARGEST))
    rows = math.isqrt(traits.kernel_rank or 0) + 2
    return max(8, min(2 * traits.reach + rows * stride, LARGEST))


def _settled(mixer: Mixer, grid: Grid) -> Mixer | None:
    """The mixer as it is, or else with all it was told by its place forgotten, settled on the grid."""
    fields = type(mixer).model_fields
    forgotten = {name: None for name, field in fields.items() if field.default is None and not field.is_required()}
    for candidate in (mixer, mixer.model_copy(update=forgotten)):
        settled = candidate.settle(1, grid)
        if not any(settled.check(grid)):
            return settled
    return None
