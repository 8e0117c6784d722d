"""What a foreign layout is: how its keys read in ours. Both directions are bit-exact and leave nothing over."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

from ..disagreement import Disagreement
from ..tensorfile import WeightsError

NOT_PORTED = "MX807"

State: TypeAlias = Mapping[str, Tensor]
Renames: TypeAlias = tuple[tuple[str, str | Callable[["re.Match[str]"], str]], ...]


class PortError(WeightsError):
    """A state dict that is not in the layout it should be in."""


def same(state: State, like: State) -> State:
    """Nothing to take apart or to put together."""
    return state


@dataclass(frozen=True)
class Layout:
    """A foreign layout of the same tensors, whose shapes may differ in axes of size one.

    ``renames`` are patterns with what replaces them, all tried in order on every key. ``derived`` matches keys that
    follow from the architecture and hold nothing learnt. Where one of their tensors is several of ours, ``apart``
    cuts it into pieces with keys of their own and ``together`` joins them; both get their state dict, whole or in
    pieces, and a whole one. ``flat`` names keys of ours whose last axes are one axis there.
    """

    renames: Renames
    derived: str = r"(?!)"
    apart: Callable[[State], State] = dict
    together: Callable[[State, State], State] = same
    flat: frozenset[str] = frozenset()

    def name(self, key: str) -> str:
        """Our name of one of their keys, or of a piece."""
        for pattern, replacement in self.renames:
            key = re.sub(pattern, replacement, key)
        return key

    def ours(self, theirs: State, like: State) -> dict[str, Tensor]:
        """Their tensors under our keys, in the shapes of ``like``, which is a state dict of our network.

        Raises PortError with every tensor that is missing, left over or of another shape.
        """
        found = {self.name(key): value for key, value in self._learnt(theirs).items()}
        self._agree(like, found, "foreign")
        return {key: found[key].reshape(value.shape) for key, value in like.items()}

    def theirs(self, ours: State, like: State) -> dict[str, Tensor]:
        """Our tensors under their keys, in the shapes of ``like``, which is a state dict of their network.

        Raises PortError with every tensor that is missing, left over or of another shape.
        """
        pieces = self._learnt(like)
        self._agree({self.name(key): value for key, value in pieces.items()}, ours, "model")
        found = {key: ours[self.name(key)].reshape(value.shape) for key, value in pieces.items()}
        whole = self.together(found, like)
        return {key: whole.get(key, value) for key, value in like.items()}

    def _learnt(self, theirs: State) -> State:
        pieces = self.apart({key: value for key, value in theirs.items() if not re.search(self.derived, key)})
        names: dict[str, str] = {}
        for key in pieces:
            if (before := names.setdefault(self.name(key), key)) != key:
                raise PortError.of(NOT_PORTED, f"{before} and {key} are both {self.name(key)}", "another layout's keys")
        return pieces

    def _agree(self, wanted: State, given: State, who: str) -> None:
        report = Disagreement.between(self._shapes(wanted), self._shapes(given), who)
        if report:
            raise PortError.of(NOT_PORTED, f"the tensors are not those of this layout: {report}")

    def _shapes(self, state: State) -> dict[str, str]:
        return {key: self._shape(key, value) for key, value in state.items()}

    def _shape(self, key: str, value: Tensor) -> str:
        sides = [side for side in value.shape if side != 1]
        if key in self.flat:
            sides = [sides[0], value.numel() // sides[0]]
        return f"({', '.join(map(str, sides))})"


def prefixes(keys: Mapping[str, str], inside: str = "", ours: str = "") -> Renames:
    """Renames of whole leading words of keys, behind ``inside`` there and behind ``ours`` here; both are patterns."""
    return tuple((rf"^{inside}{re.escape(theirs)}(?=\.|$)", f"{ours}{name}") for theirs, name in keys.items())
