"""No token mixing: what a frame does by itself. arXiv:2210.13452, section 3 (IdentityFormer)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..grid import Grid
from ..mixer import Mixer, Traits

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


class IdentityMixer(Mixer):
    """Passes its input on."""

    notation = "identity"
    also = ("none",)

    def traits(self, at: Grid) -> Traits:
        return Traits("point", "separate", channels_per_weight=at.c)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return x
