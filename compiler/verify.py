"""What a legal tree is. Every layer states its own conditions in ``check``; here are those that hold for all."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .errors import Path, Problem
from .family import Family
from .grid import Grid
from .layer import Layer, place
from .mixer import Mixer
from .operator import Operator
from .parts import Conv, Linear, Pool

TOO_SMALL, NO_STRIDE, NOT_DIVIDED = "MX201", "MX202", "MX203"


def verify(family: Family, at: Grid) -> Iterator[tuple[Problem, Layer]]:
    """Everything that is illegal about the network on this grid, with the layer that complains."""
    yield from _verify(family, family, at, "")


def _verify(family: Family, layer: Layer, at: Grid, path: str) -> Iterator[tuple[Problem, Layer]]:
    complaints = [*layer.check(at), *_fits(layer, at)]
    for problem in complaints:
        yield _placed(family, layer, path, problem), layer
    if complaints:
        return
    for name, part in layer.parts(at).items():
        stands = place(part, at)
        yield from _verify(family, stands.layer, stands.at, f"{path}.{name}" if path else name)


def _fits(layer: Layer, at: Grid) -> Iterator[Problem]:
    """A leaf has whole groups and something to look at."""
    if isinstance(layer, Conv):
        assert layer.cin % layer.groups == 0 == layer.cout % layer.groups, f"{layer} has broken groups"
    if isinstance(layer, Conv | Pool) and min(layer.out(at).h, layer.out(at).w) < 1:
        yield Problem(TOO_SMALL, f"a kernel of {layer.kernel} does not fit into a {at.h}x{at.w} map", "a larger image")
    if isinstance(layer, Conv | Linear):
        assert layer.cin > 0 < layer.cout, f"{layer} has no channels"


def _placed(family: Family, layer: Layer, path: str, problem: Problem) -> Problem:
    """The complaint with the spec's path in front, and the stage in words."""
    stage = re.match(r"stages\.(\d+)", path)
    prefix = _origin(family, layer, int(stage[1]) if stage else None)
    words = f"stage {int(stage[1]) + 1}: {problem.what}" if stage else problem.what
    return Problem(problem.code, words, problem.hint, (*prefix, *problem.where))


def _origin(family: Family, layer: Layer, stage: int | None) -> Path:
    """The spec's key that put this layer where it is."""
    if isinstance(layer, Mixer) and stage is not None:
        return ("mixers", stage)
    if isinstance(layer, Operator) and layer is not family:
        return next(((name,) for name, value in family if value == layer), ())
    return ()
