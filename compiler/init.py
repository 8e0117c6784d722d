"""How weights start, as data. A family states its convention once; a part that needs another says so itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor


class Init(Protocol):
    """Fills a weight in place, and the bias that goes with it."""

    def weight(self, tensor: Tensor) -> None: ...

    def bias(self, tensor: Tensor, weight: Tensor) -> None: ...


class _ZeroBias:
    def bias(self, tensor: Tensor, weight: Tensor) -> None:
        tensor.zero_()


@dataclass(frozen=True, slots=True)
class Constant(_ZeroBias):
    """One value; biases zero."""

    value: float

    def weight(self, tensor: Tensor) -> None:
        tensor.fill_(self.value)


@dataclass(frozen=True, slots=True)
class Normal(_ZeroBias):
    """Normal around zero; biases zero."""

    std: float = 1.0

    def weight(self, tensor: Tensor) -> None:
        tensor.normal_(std=self.std)


@dataclass(frozen=True, slots=True)
class TruncNormal(_ZeroBias):
    """Normal, cut at two units; biases zero."""

    std: float = 0.02

    def weight(self, tensor: Tensor) -> None:
        from torch.nn.init import trunc_normal_

        trunc_normal_(tensor, std=self.std)


@dataclass(frozen=True, slots=True)
class TorchDefault:
    """What ``nn.Conv2d`` and ``nn.Linear`` start with: uniform within 1 / sqrt(fan-in), bias likewise."""

    def weight(self, tensor: Tensor) -> None:
        from torch.nn.init import kaiming_uniform_

        kaiming_uniform_(tensor, a=math.sqrt(5))

    def bias(self, tensor: Tensor, weight: Tensor) -> None:
        bound = 1 / math.sqrt(weight[0].numel())
        tensor.uniform_(-bound, bound)


@dataclass(frozen=True, slots=True)
class KaimingNormal:
    """Convolutions normal with variance 2 / fan-out and biases zero (arXiv:1502.01852), linear maps as torch has them:
    what ResNets start with.
    """

    def weight(self, tensor: Tensor) -> None:
        from torch.nn.init import kaiming_normal_

        if tensor.dim() > 2:
            kaiming_normal_(tensor, mode="fan_out", nonlinearity="relu")
        else:
            TorchDefault().weight(tensor)

    def bias(self, tensor: Tensor, weight: Tensor) -> None:
        if weight.dim() > 2:
            tensor.zero_()
        else:
            TorchDefault().bias(tensor, weight)


@dataclass(frozen=True, slots=True)
class Linspace(_ZeroBias):
    """Evenly spaced values from ``start`` to ``end``, both included."""

    start: float
    end: float

    def weight(self, tensor: Tensor) -> None:
        import torch

        tensor.copy_(torch.linspace(self.start, self.end, tensor.numel()).view_as(tensor))


@dataclass(frozen=True, slots=True)
class Table(_ZeroBias):
    """Values computed by ``rule(*tensor.shape)``; the rule is a module-level function, so that it pickles."""

    rule: Callable[..., Tensor]

    def weight(self, tensor: Tensor) -> None:
        tensor.copy_(self.rule(*tensor.shape))


ZEROS = Constant(0.0)
ONES = Constant(1.0)
