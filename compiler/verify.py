"""What a legal tree is. Every layer states its own conditions in ``check``; here are those that hold for all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeAlias

from .errors import Path, Problem
from .family import Family
from .grid import Grid
from .layer import Layer, Sequence, place
from .mixer import Mixer
from .operator import Operator
from .parts import Conv, Leaf, Linear, Pool

TOO_SMALL, NO_STRIDE, NOT_DIVIDED, TOO_LARGE = "MX201", "MX202", "MX203", "MX205"
Owner: TypeAlias = tuple[Operator, str]
"""The nearest operator around a layer, and that operator's path."""

MAX_BLOCKS, MAX_CHANNELS = 1000, 65536


def limits(family: Family) -> Iterator[Problem]:
    """Sizes that nobody means, refused before a tree of them is made."""
    for key, most in (("depths", MAX_BLOCKS), ("dims", MAX_CHANNELS)):
        for index, size in enumerate(getattr(family, key, ())):
            if size > most:
                yield Problem(TOO_LARGE, f"{size} in {key}", f"at most {most}", (key, index))
    blocks = sum(family.depths)
    if blocks > MAX_BLOCKS >= max(family.depths):
        yield Problem(TOO_LARGE, f"{blocks} blocks in all", f"at most {MAX_BLOCKS}", ("depths",))


def verify(family: Family, at: Grid) -> Iterator[tuple[Problem, Layer]]:
    """Everything that is illegal about the network on this grid, with the layer that complains."""
    if _is_sound(family, at):
        return
    yield from _verify(_Walk(family), family, at, "", (family, ""))


_FITTED = (Conv, Linear, Pool)
"""Leaves that something can be wrong with."""


def _is_sound(layer: Layer, at: Grid) -> bool:
    """Whether nothing is wrong with a layer on this grid, nor with any of its parts."""
    if isinstance(layer, Leaf):
        return not isinstance(layer, _FITTED) or next(_fits(layer, at), None) is None
    for _ in layer.check(at):
        return False
    comes_again = isinstance(layer, (Sequence, Family))
    before = None
    for part in layer.parts(at).values():
        stands = place(part, at)
        if stands == before:
            continue
        before = stands
        known = comes_again or isinstance(stands.layer, Operator)
        if not (_is_known_sound if known else _is_sound)(stands.layer, stands.at):
            return False
    return True


_is_known_sound = lru_cache(maxsize=8192)(_is_sound)
"""For stems, stages, blocks and operators, which come again in other stages and other networks."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """A walk over one family; equal layers on equal grids are judged once."""

    family: Family
    seen: set[tuple[str, Layer, Grid]] = field(default_factory=set)

    def first(self, layer: Layer, at: Grid, path: str) -> bool:
        """Whether this is the first such layer of its stage."""
        stage = path[: path.find(".", 7)] if path.startswith("stages.") else ""
        key = stage, layer, at
        known = key in self.seen
        self.seen.add(key)
        return not known


def _verify(walk: _Walk, layer: Layer, at: Grid, path: str, owner: Owner) -> Iterator[tuple[Problem, Layer]]:
    if isinstance(layer, Family) and path:
        prefix = [int(step) if step.isdigit() else step for step in path.split(".")]
        yield from ((problem.under(*prefix), culprit) for problem, culprit in verify(layer, at))
        return
    if isinstance(layer, Operator):
        owner = layer, path
    complaints = [*layer.check(at), *_fits(layer, at)]
    for problem in complaints:
        yield _placed(problem, at, path, _origin(walk.family, *owner)), layer
    if complaints:
        return
    for name, part in layer.parts(at).items():
        stands = place(part, at)
        inner = f"{path}.{name}" if path else name
        repeats = isinstance(layer, Sequence) or isinstance(stands.layer, Operator)
        if not repeats or walk.first(stands.layer, stands.at, inner):
            yield from _verify(walk, stands.layer, stands.at, inner, owner)


def _fits(layer: Layer, at: Grid) -> Iterator[Problem]:
    """A leaf has whole groups and something to look at."""
    if isinstance(layer, Conv) and (layer.cin % layer.groups or layer.cout % layer.groups):
        what = f"a convolution from {layer.cin} to {layer.cout} channels cannot have {layer.groups} groups"
        yield Problem(NOT_DIVIDED, what, "a number of groups that divides both")
    elif isinstance(layer, (Conv, Pool)) and min(layer.out(at).h, layer.out(at).w) < 1:
        yield Problem(TOO_SMALL, f"a kernel of {layer.kernel} does not fit into a {at.h}x{at.w} map", "a larger image")
    elif isinstance(layer, Linear) and not layer.cin > 0 < layer.cout:
        yield Problem(TOO_SMALL, f"a linear map from {layer.cin} to {layer.cout} channels", "more channels")


def _placed(problem: Problem, at: Grid, path: str, origin: Path) -> Problem:
    """The complaint with the spec's path in front, the stage in words, and the shape that was inferred there."""
    stage = _stage(path)
    words = f"stage {stage + 1}: {problem.what}" if stage is not None else problem.what
    trail = f"stage {stage + 1} is {at} here" if stage is not None else f"the map is {at} here"
    return replace(problem, what=words, where=(*origin, *problem.where), trail=problem.trail or trail)


def _stage(path: str) -> int | None:
    """The stage a path of the tree lies in, counted from 0."""
    found = re.match(r"stages\.(\d+)", path)
    return int(found[1]) if found else None


def _origin(family: Family, operator: Operator, path: str) -> Path:
    """The spec's key that put this operator where it is."""
    own = next((key for key, _ in getattr(family, "blocks", ()) if path.startswith(f"{key}.")), None)
    if own and isinstance(operator, Mixer):
        return ("blocks", own)
    stage, named = _stage(path), next(((name,) for name, value in family if value == operator), ())
    # a stage may hold mixers that are not its token mixer: the filters in front of it
    if isinstance(operator, Mixer) and stage is not None and (not named or path.endswith(".mixer")):
        return ("mixers", stage)
    return named
