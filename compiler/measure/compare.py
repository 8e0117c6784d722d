"""What a mixer declares beside what it measures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..grid import Grid
from ..mixer import Mixer, Traits
from ..traits import differences
from .reading import measure
from .tiny import tiny


@dataclass(frozen=True, slots=True)
class Compared:
    """The traits of a mixer on a small map, declared and measured."""

    at: Grid
    declared: Traits
    measured: Traits

    @property
    def differences(self) -> tuple[str, ...]:
        """The fields in which it is not what it says."""
        return differences(self.declared, self.measured)

    def __str__(self) -> str:
        if not self.differences:
            return "as declared"
        pairs = ((name, getattr(self.measured, name), getattr(self.declared, name)) for name in self.differences)
        return ", ".join(f"{name} {found} not {said}" for name, found, said in pairs)


def compare(mixer: Mixer, at: Grid, seed: int = 0) -> Compared:
    """Declared and measured on a map as small as the mixer that stands on ``at`` allows. Raises ValueError as
    ``tiny`` and ``measure`` do.
    """
    return _compared(*tiny(mixer, at), seed)


@lru_cache(maxsize=128)
def _compared(mixer: Mixer, at: Grid, seed: int) -> Compared:
    try:
        return Compared(at, mixer.traits(at), measure(mixer, at, seed))
    except ValueError as error:
        raise ValueError(f"{mixer} cannot be measured: {error}") from error
