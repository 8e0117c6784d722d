"""How windows tile a map: sizes, padding and shift as Swin does. arXiv:2103.14030, sections 3.2 and 3.3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .grid import Grid


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of a map of ``size`` positions, cut into windows of ``side``; the last one may be padding in part.

    A map no larger than the window is one window, unpadded and unshifted.
    """

    size: int
    side: int
    shift: int

    @classmethod
    def of(cls, size: int, window: int, shift: int) -> Axis:
        return cls(size, size, 0) if size <= window else cls(size, window, shift)

    @property
    def count(self) -> int:
        """Windows along this direction."""
        return -(-self.size // self.side)

    @property
    def padded(self) -> int:
        return self.count * self.side

    def reach(self, *, wraps: bool) -> int:
        """Largest distance between positions in one window. Shifted windows go on at the other end of the map: with
        ``wraps`` the positions there belong to them, without it they do not.
        """
        ends: dict[tuple[int, bool], tuple[int, int]] = {}
        for place in range(self.size):
            window = (place - self.shift) % self.padded // self.side, place < self.shift and not wraps
            ends[window] = ends.get(window, (place, place))[0], place
        return max(last - first for first, last in ends.values())


@dataclass(frozen=True, slots=True)
class Tiling:
    """A map of rows and columns in windows."""

    rows: Axis
    columns: Axis

    @classmethod
    def of(cls, height: int, width: int, window: int, shift: int = 0) -> Tiling:
        return cls(Axis.of(height, window, shift), Axis.of(width, window, shift))

    @property
    def count(self) -> int:
        """Windows of the map."""
        return self.rows.count * self.columns.count

    @property
    def positions(self) -> int:
        """Positions of a window."""
        return self.rows.side * self.columns.side

    @property
    def pairs(self) -> int:
        """Pairs of positions that meet in a window, over all windows; padding included."""
        return self.count * self.positions**2

    @property
    def space(self) -> Literal["blocks", "dense"]:
        """Which positions an output sees, in the words of traits: those of its window, or all of the map."""
        return "dense" if self.count == 1 else "blocks"

    @property
    def shifted(self) -> bool:
        return bool(self.rows.shift or self.columns.shift)

    def reach(self, *, wraps: bool = False) -> int | None:
        """Largest distance, along an axis, between positions in one window; None if the map is the only limit."""
        reach = max(self.rows.reach(wraps=wraps), self.columns.reach(wraps=wraps))
        return None if reach >= max(self.rows.size, self.columns.size) - 1 else reach

    def padded(self, c: int) -> Grid:
        """The padded map with ``c`` channels."""
        return Grid(self.rows.padded, self.columns.padded, c)
