"""What mixers in windows have in common: how windows tile the map, and what they cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import Problem
from ..grid import Grid
from ..mixer import Mixer, divides
from ..tiling import Tiling


class Windowed(Mixer):
    """A mixer among the positions of a window, by heads; abstract."""

    if TYPE_CHECKING:  # declared by each of them, where its notation has them
        window: int
        head_channels: int
        shift: int

    def tiling(self, at: Grid) -> Tiling:
        return Tiling.of(at.h, at.w, self.window, self.shift)

    def check(self, at: Grid) -> Iterator[Problem]:
        yield from divides(self, "head_channels", at.c)
        if self.shift >= self.window:
            hint = f"less than w={self.window}; Swin takes half of it"
            yield Problem("MX203", f"s={self.shift} shifts by a window or more", hint, ("shift",))
