"""The tables in which two papers compare token mixers, made from what our mixers declare.

Each row names the mixer whose traits fill it. Operators that are no mixer here have their traits stated. ``printed`` is
what the paper has in that cell, so that a test can compare; None where the copy at hand cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .mixer import Traits
from .mixers import registry
from .traits import REFERENCE

TICK = "✓"


@dataclass(frozen=True, slots=True)
class Line:
    """One row: the paper's name, our notation or the stated traits, and the paper's cells."""

    name: str
    operator: str | Traits
    printed: tuple[str | None, ...]

    @property
    def mixer(self) -> str:
        """Whose traits they are."""
        return "" if isinstance(self.operator, Traits) else self.operator

    @property
    def traits(self) -> Traits:
        """The declared or stated traits."""
        if isinstance(self.operator, Traits):
            return self.operator
        mixer = registry.make(self.operator).settle(1, REFERENCE)
        return mixer.traits(REFERENCE)


@dataclass(frozen=True, slots=True)
class Relation:
    """A printed table: its source, its columns, the rule that fills a row from traits, and its rows."""

    source: str
    heads: tuple[str, ...]
    rule: Callable[[Traits], tuple[str, ...]]
    lines: tuple[Line, ...]

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Name, mixer, and the cells as the traits have them; a star where print has something else."""
        for line in self.lines:
            cells = self.rule(line.traits)
            pairs = zip(cells, line.printed, strict=True)
            yield line.name, line.mixer, *(cell if printed in (cell, None) else f"{cell}*" for cell, printed in pairs)


def ticks(traits: Traits) -> tuple[str, ...]:
    """Sparse between positions: not all of the map, only the own; between channels; weights shared over positions,
    over channels; dynamic.
    """
    marks = (
        traits.space in ("sliding", "blocks"),
        traits.space == "point",
        traits.channels == "separate",
        traits.shared_over_positions,
        traits.channels_per_weight > 1,
        traits.dynamic != "no",
    )
    return tuple(TICK if mark else "" for mark in marks)


def awareness(traits: Traits) -> tuple[str, str]:
    """Context-aware; spatial-invariant, "somewhat" where all positions mix their kernels from a few."""
    context = "Yes" if traits.dynamic != "no" else "No"
    if traits.shared_over_positions:
        return context, "Yes"
    return context, "No" if traits.kernel_rank is None else "Somewhat"


_FULLY_CONNECTED = Traits("dense", "dense", None, False, any_size=False)
"""Each neuron is connected with all neurons of the layer before: section 2.5."""


def _ticked(cells: str) -> tuple[str, ...]:
    return tuple(TICK if cell == "x" else "" for cell in cells)


LOCAL_VIT = Relation(
    "Demystifying Local Vision Transformer, arXiv:2106.04263, Table 1",
    ("non-local", "full", "channels", "position", "channel", "dynamic"),
    ticks,
    (
        Line("Local attention", "window", _ticked("x.x.xx")),
        Line("Attention", "attention", _ticked("..x.xx")),
        Line("DW-Conv.", "DW", _ticked("x.xx..")),
        Line("D-DW-Conv.", "DDW", _ticked("x.xx.x")),
        Line("Conv.", "Conv", _ticked("x..x..")),
        Line("MLP", _FULLY_CONNECTED, _ticked("......")),
        Line("Channel Sep. MLP", "TokenLinear", _ticked("..x.x.")),
        Line("1x1 Conv.", "Conv k=1", _ticked(".x....")),
    ),
)
"""Sparse between positions (non-local ones, all others), between channels; shared across positions, across channels."""

CADA = Relation(
    "Studying inductive biases in image classification task, arXiv:2210.17141, Table 1",
    ("context-aware", "spatial-invariant"),
    awareness,
    (
        Line("locally-connected", "local", ("No", "No")),
        Line("convolution", "DW", ("No", "Yes")),
        Line("local self-attention", "SAN", ("Yes", None)),
        Line("CADA", "CADA", ("Yes", "Somewhat")),
        Line("DA", "DA", ("No", "Somewhat")),
    ),
)

RELATIONS = (LOCAL_VIT, CADA)
