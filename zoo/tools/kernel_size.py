"""How large global kernels have become: the extent of their learnt window. HyenaPixel, arXiv:2402.19305, Fig. 6."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ...compiler.backbone import Backbone
from ...compiler.bound import Bound
from ...compiler.errors import SpecError
from ...compiler.mixers.hpx import Hpx
from .banks import NOTHING_THERE
from .threshold import OUT_OF_RANGE

THRESHOLD = 0.05
"""Values of the window below count as zero."""


@dataclass(frozen=True)
class KernelSize:
    """The window of one mixer.

    ``diameter`` in taps, mean over channels, with the smallest and the largest; at most ``kernel``, the filter's side.
    ``coverage`` is the mean diameter over the side of the map: 2 reaches every position from every other.
    """

    path: str
    mixer: str
    kernel: int
    map_side: int
    diameter: float
    smallest: float
    largest: float
    coverage: float


def kernel_sizes(model: Backbone, threshold: float = THRESHOLD) -> list[KernelSize]:
    """Of every mixer with an implicit filter on maps, first to last. Raises SpecError where there is none."""
    if not 0 < threshold < 1:
        raise SpecError.of(OUT_OF_RANGE, f"a threshold of {threshold:g}", "above 0 and below 1; the paper takes 0.05")
    found = [_size(path, module, threshold) for path, module in filters(model)]
    if not found:
        name = model.resolved.name if model.resolved else "the model"
        raise SpecError.of(NOTHING_THERE, f"{name} has no mixer with an implicit filter on maps", "Hpx has one")
    return found


def filters(model: Backbone) -> Iterator[tuple[str, Bound]]:
    """Every mixer with an implicit filter on maps."""
    for path, module in model.named_modules():
        if isinstance(module, Bound) and isinstance(module.layer, Hpx) and module.layer.filter == "implicit":
            yield path, module


def diameters(decay: Tensor, shift: Tensor, spacing: float, kernel: int, threshold: float) -> Tensor:
    """Diameter in taps of the set where exp(-|decay| d) + shift is at least ``threshold``, cut at ``kernel``.

    ``spacing`` is what the distance d grows by from one tap to the next. The window falls with d, so the set is a disc.
    """
    wanted = threshold - shift.double()
    radius = torch.where(wanted > 0, -wanted.clamp(min=1e-300).log() / (decay.double().abs() * spacing), torch.inf)
    return (2 * radius).nan_to_num(nan=0.0).clamp(0, kernel)


def spacing(distance: Tensor) -> float:
    """The distance between neighbouring taps in a table (1, 1, K, K) of distances to the centre."""
    side = distance.shape[-1]
    middle = side // 2
    return float(distance[0, 0, middle, -1] - distance[0, 0, middle, middle]) / max(side - 1 - middle, 1)


def _size(path: str, module: Bound, threshold: float) -> KernelSize:
    part = module.filter
    kernel, side = part.distance.shape[-1], max(module.at.h, module.at.w)
    step = spacing(part.distance.detach()) or 1.0
    found = diameters(part.decay.detach().flatten(), part.shift.detach().flatten(), step, kernel, threshold).cpu()
    mean = float(found.mean())
    return KernelSize(
        path,
        str(module.layer),
        kernel,
        side,
        round(mean, 3),
        round(float(found.min()), 3),
        round(float(found.max()), 3),
        round(mean / side, 4),
    )
