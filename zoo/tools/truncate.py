"""Global filters cut short, stage by stage, and what that costs. HyenaPixel, arXiv:2402.19305, Fig. 7."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from torch import Tensor

from ...compiler.backbone import Backbone
from ...compiler.bound import Bound
from ...compiler.errors import SpecError
from ...compiler.mixers._filters import centre_distance
from ..training.data import AnySplit, Inputs
from ..training.evaluate import evaluate
from .banks import NOTHING_THERE
from .kernel_size import filters
from .threshold import OUT_OF_RANGE


@dataclass(frozen=True)
class Truncation:
    """Accuracy with the filters of one stage cut, percent, and what it is less than before, points.

    ``size`` is the diameter that stays over the side of the stage's map: 2 reaches from side to side, 3 beyond corners.
    """

    stage: int
    size: float
    top1: float
    change: float


def truncations(
    model: Backbone, sizes: Sequence[float], split: AnySplit, inputs: Inputs, classes: Sequence[str]
) -> list[Truncation]:
    """Every stage with implicit filters on maps, counted from 1, at every size. Raises SpecError for none."""
    for size in sizes:
        if not 0 < size <= 3:
            raise SpecError.of(OUT_OF_RANGE, f"a filter of {size:g} map sides", "above 0, at most 3")
    stages = sorted({_stage(path) for path, _ in filters(model)})
    if not stages:
        name = model.resolved.name if model.resolved else "the model"
        raise SpecError.of(NOTHING_THERE, f"{name} has no mixer with an implicit filter on maps", "Hpx has one")
    base = evaluate(model, split, inputs, classes).top1
    found = []
    for stage in stages:
        for size in sizes:
            with truncated(model, stage, size):
                seen = evaluate(model, split, inputs, classes).top1
            found.append(Truncation(stage, size, seen, round(seen - base, 4)))
    return found


@contextmanager
def truncated(model: Backbone, stage: int, size: float) -> Iterator[None]:
    """Within, every filter of that stage is zero at taps farther from its centre than half of ``size`` map sides."""
    with ExitStack() as hooks:
        for path, module in filters(model):
            if _stage(path) == stage:
                radius = size * max(module.at.h, module.at.w) / 2
                hooks.enter_context(_cut(module, radius))
        yield


@contextmanager
def _cut(module: Bound, radius: float) -> Iterator[None]:
    def zeroed(part: object, inputs: object, taps: Tensor) -> Tensor:
        side = taps.shape[-1]
        return taps * (centre_distance(1, 1, side, side)[0] <= radius).to(taps)

    handle = module.filter.register_forward_hook(zeroed)
    try:
        yield
    finally:
        handle.remove()


def _stage(path: str) -> int:
    """The stage of a path ``stages.0.blocks...``, counted from 1."""
    return int(path.split(".")[1]) + 1
