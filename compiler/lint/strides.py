"""How much smaller than the image the maps of a network are."""

from __future__ import annotations

from ..grid import Grid
from ..layer import Sequence, place
from ..resolve import Network

PROBE = 4096
"""Side of a map so large that rounding hides no stride."""


def strides(network: Network) -> tuple[int, ...]:
    """The stride of every stage's output against the image; none for a network that has no stages of its own."""
    probe = Grid(PROBE, PROBE, network.at.c)
    parts = network.family.parts(probe)
    if "stages" not in parts:
        return ()
    stages = place(parts["stages"], probe)
    assert isinstance(stages.layer, Sequence)
    grid, found = stages.at, []
    for stage in stages.layer.layers:
        grid = stage.out(grid)
        found.append(round(PROBE / max(grid.h, 1)))
    return tuple(found)
