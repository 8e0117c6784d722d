"""The kernels of the token mixers that mix them: CADA, CADAsp, DA and DAsp. arXiv:2210.17141, Eq. (1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ...compiler.backbone import Backbone
from ...compiler.bound import Bound
from ...compiler.errors import SpecError
from ...compiler.mixer import Mixer
from ...compiler.mixers._accumulation import STEPS

NOTHING_THERE = "MX821"

_PATH = re.compile(r"(stages\.(\d+)\.blocks\.\d+)\.(spatial\.)?mixer")


@dataclass(frozen=True)
class Bank:
    """The bank of one token mixer: where it is, and its module."""

    path: str
    block: str
    """Path of the block, ``stages.0.blocks.1``."""
    stage: int
    module: Bound

    @property
    def mixer(self) -> Any:
        """The mixer, one of four classes that share the names of their fields."""
        return self.module.layer

    @property
    def base(self) -> Tensor:
        """Base kernels (heads, b, G, G)."""
        weight, side = self.module.bank.weight.detach(), self.mixer.kernel
        return weight.view(-1, side, side, weight.shape[1]).movedim(3, 1)

    @property
    def position(self) -> Tensor | None:
        """Kernels that are the same everywhere (heads, G, G), where the mixer has them."""
        bias, side = self.module.bank.bias, self.mixer.kernel
        return None if bias is None else bias.detach().view(-1, side, side)

    @property
    def shared(self) -> bool:
        """Whether all heads mix their kernels by the same coefficients."""
        return self.module.bank.groups == 1


def banks(model: Backbone) -> list[Bank]:
    """Every token mixer with base kernels, first to last. Raises SpecError where there is none."""
    found = list(_banks(model))
    if not found:
        name = model.resolved.name if model.resolved else "the model"
        what = f"{name} has no token mixer with base kernels"
        raise SpecError.of(NOTHING_THERE, what, "CADA, CADAsp, DA and DAsp have them")
    return found


def _banks(model: Backbone) -> Iterator[Bank]:
    for path, module in model.named_modules():
        found = _PATH.fullmatch(path)
        if found and isinstance(module, Bound) and _mixes_kernels(module):
            yield Bank(path, found[1], int(found[2]), module)


def _mixes_kernels(module: Bound) -> bool:
    layer = module.layer
    known = isinstance(layer, Mixer) and {"base_kernels", "net", "kernel"} <= set(type(layer).model_fields)
    return known and isinstance(getattr(module, "bank", None), nn.Conv2d)


def steps(bank: Bank) -> tuple[str, ...]:
    """The parts between a bank's input, or its learnt weight, and its coefficients."""
    return STEPS[bank.mixer.net]


def has_banks(model: Backbone) -> bool:
    """Whether some token mixer has base kernels."""
    return any(_banks(model))
