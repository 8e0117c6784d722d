"""A kernel with weights that never meet the map.

What
    A convolution's kernel is larger than twice the map it stands on.

Why
    Its outer weights see nothing but padding: they cost parameters and multiply-adds and never learn.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=31

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=(31,31,27,13)
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from ...errors import Problem
from ...grid import Grid
from ...layer import walk
from ...mixer import Mixer
from ...parts import Conv
from ..file import File

severity = "warning"


def check(file: File) -> Iterator[Problem]:
    """One complaint for each stage whose mixer holds such a kernel."""
    for stage, mixer, grid in file.mixers:
        largest = 2 * max(grid.h, grid.w) - 1
        if (side := _side(mixer, grid)) > largest:
            what = f"stage {stage + 1}: a kernel of {side} on a {grid.h}x{grid.w} map"
            trail = f"stage {stage + 1} is {grid} here"
            yield file.problem("MX206", what, f"at most {largest} weights meet the map", ("mixers", stage), trail=trail)


@lru_cache(maxsize=1024)
def _side(mixer: Mixer, grid: Grid) -> int:
    """The longest kernel of a mixer on the map itself."""
    convs = (layer for _, layer, at in walk(mixer, grid) if isinstance(layer, Conv) and at.pixels == grid.pixels)
    return max((max(conv.sides) for conv in convs), default=1)
