"""Accumulation networks: where the coefficients of a mixture of kernels come from. arXiv:2210.17141, section 3.

A, B and C predict them from the input (Fig. 4; the text leaves B and C open, here they follow E's and SAN's pattern);
D, E and F learn them for every position (Fig. 6). All end in ``bank``, a 1x1 convolution whose weights are the base
kernels and whose bias is the position kernel. It is never run: the operator takes both, so that no map is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..grid import Grid
from ..init import Normal
from ..layer import Layer, On, Parts
from ..parts import Act, BatchNorm, Conv, Weight

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..bound import Bound

Net = Literal["A", "B", "C", "D", "E", "F"]
LEARNT = frozenset("DEF")
"""Networks fed by a learnt weight in place of the input."""
STEPS: dict[str, tuple[str, ...]] = {
    "A": ("context", "norm", "act"),
    "B": ("context",),
    "C": ("context", "norm", "act", "mix", "norm2", "act2"),
    "D": ("norm", "act"),
    "E": (),
    "F": ("context", "norm", "act"),
}
"""The parts between the input, or the learnt weight, and the coefficients."""


@dataclass(frozen=True, slots=True)
class Accumulation:
    """The parts of an accumulation network, as its mixer has them. The first of D, E and F reads a weight, which is not
    kept as an activation.

    ``heads`` kernels of side ``kernel`` at each position, each mixed from ``base`` kernels; ``shared``: all heads mix
    theirs by the same coefficients.
    """

    net: Net
    heads: int
    base: int
    kernel: int
    shared: bool
    context: int = 1
    stride: int = 1
    position: bool = True

    @property
    def groups(self) -> int:
        return 1 if self.shared else self.heads

    @property
    def hidden(self) -> int:
        """Coefficients at each position."""
        return self.base * self.groups

    def parts(self, at: Grid) -> Parts:
        """Everything up to the bank, on the grids where it works."""
        coefficients = at.strided(self.stride).to(self.hidden)
        parts: dict[str, Layer | On] = {}
        if self.net in LEARNT:
            parts["weight"] = self._weight(at)
        for step in STEPS[self.net]:
            parts[step] = self._part(step, at) if step == "context" else self._part(step, at).on(coefficients)
        taps = self.kernel**2
        bank = Conv(
            self.hidden,
            self.heads * taps,
            1,
            groups=self.groups,
            bias=self.position,
            shared_input=self.net == "E",
        )
        return {**parts, "bank": bank.on(coefficients)}

    def _weight(self, at: Grid) -> Weight:
        fed = at if self.net == "F" else at.strided(self.stride).to(self.hidden)
        return Weight((1, fed.c, fed.h, fed.w), init=Normal())

    def _part(self, step: str, at: Grid) -> Layer:
        match step:
            case "context":
                return Conv(
                    at.c,
                    self.hidden,
                    self.context,
                    self.stride,
                    groups=self.groups,
                    shared_input=self.net in LEARNT,
                )
            case "mix":
                return Conv(self.hidden, self.hidden, 1, groups=self.groups)
            case "norm" | "norm2":
                return BatchNorm(self.hidden, shared_input=self.net == "D")
            case _:
                return Act("relu", self.hidden)


def accumulate(m: Bound, x: Tensor, net: Net, *, kernel: int, stride: int) -> Tensor:
    """The kernels mixed at every position, applied to (B, C, H, W); ``m`` holds the parts of an ``Accumulation``."""
    from ..ops.aggregate import aggregate_decomposed

    alpha = _coefficients(m, m.weight if net in LEARNT else x, net)
    return aggregate_decomposed(x, alpha, m.bank.weight, m.bank.bias, kernel=kernel, stride=stride)


def stored(m: Bound, net: Net, *, kernel: int, stride: int) -> nn.Module:
    """What applies the kernels of a network fed by a learnt weight, all of them mixed beforehand."""
    from ..ops.stored import StoredMaps

    return StoredMaps(m.bank(_coefficients(m, m.weight, net)), kernel, stride)


def _coefficients(m: Bound, alpha: Tensor, net: Net) -> Tensor:
    for step in STEPS[net]:
        alpha = getattr(m, step)(alpha)
    return alpha
