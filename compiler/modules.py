"""The few standard modules that torch lacks or has in another layout: all work on (B, C, H, W)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layout import pointwise, tuned
from .ops.star_relu import star_relu

M = TypeVar("M", bound=nn.Module)


class Pointwise(nn.Linear):
    """``nn.Linear`` over the channels of (B, C, H, W) maps, in a form that `layout` chooses, and of (B, C) vectors."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() == 4:
            return pointwise(input, self.weight, self.bias)
        return F.linear(input, self.weight, self.bias)


class ChannelNorm(nn.LayerNorm):
    """``nn.LayerNorm`` over the channels of (B, C, H, W) maps and of (B, C) vectors."""

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() == 4:
            return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return super().forward(input)


class StarReLU(nn.Module):
    """s * relu(x)^2 + b with learnt scalars s and b. arXiv:2210.13452; starts at s=1, b=0 as the released code does."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(1, device="meta"))
        self.bias = nn.Parameter(torch.empty(1, device="meta"))

    def reset_parameters(self) -> None:
        self.scale.fill_(1.0)
        self.bias.fill_(0.0)

    def forward(self, x: Tensor) -> Tensor:
        if tuned(x):
            return star_relu(x, self.scale, self.bias)
        return self.scale * F.relu(x).square() + self.bias


class SquaredReLU(nn.Module):
    """relu(x)^2."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x).square()


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), an approximation of GELU (arXiv:1606.08415, section 2)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class GlobalPool(nn.Module):
    """Mean over the positions of (B, C, H, W): (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class Passed(nn.Identity):
    """What is left of dropout in an inference copy. Who asks for its rate reads zero."""

    p = rate = 0.0


class FirstPosition(nn.Module):
    """The first position of (B, C, H, W): (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 0, 0].clone()  # else who keeps it for backward would keep the whole map


class DropPath(nn.Module):
    """Stochastic depth per image; the kept branches are scaled so that the mean stays."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        return x * x.new_empty((x.shape[0],) + (1,) * (x.dim() - 1)).bernoulli_(keep).div_(keep)

    def extra_repr(self) -> str:
        return f"rate={self.rate:.3f}"


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "quick_gelu": QuickGELU,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "star_relu": StarReLU,
    "squared_relu": SquaredReLU,
}


def convolution(
    weight: Tensor, bias: Tensor | None = None, *, stride: int = 1, padding: int = 0, groups: int = 1
) -> nn.Conv2d:
    """The convolution with these weights, (C', C / groups, K, K2), none of which learns."""
    (cout, cin), kernel = weight.shape[:2], (weight.shape[2], weight.shape[3])
    module = nn.Conv2d(cin * groups, cout, kernel, stride, padding, groups=groups, bias=False, device="meta")
    module.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    module.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
    return module


def unfilled(cls: type[M]) -> Callable[..., M]:
    """The constructor of one of torch's modules on meta without its weights' initialisation, which the tree does.

    On meta it would change nothing, and cost as much as all the rest.
    """

    def make(*arguments: Any, **settings: Any) -> M:
        module = _bare(cls)(*arguments, device="meta", **settings)  # type: ignore[arg-type]  # classes are hashable
        module.__class__ = cls
        return cast(M, module)

    return make


@cache
def _bare(cls: Any) -> Any:
    return type(cls.__name__, (cls,), {"reset_parameters": lambda self: None})


def another(made: nn.Module | Tensor) -> nn.Module | Tensor:
    """One more of what a leaf is made into, on meta, with weights and hooks of its own: in a quarter of the time that
    torch's constructors take.
    """
    if isinstance(made, Tensor):
        empty = torch.empty(made.shape, dtype=made.dtype, device="meta")
        return nn.Parameter(empty, made.requires_grad) if isinstance(made, nn.Parameter) else empty
    module = object.__new__(type(made))
    state = vars(module)
    for name, value in vars(made).items():
        state[name] = value.copy() if isinstance(value, (dict, set, list)) else value
    for name in ("_parameters", "_buffers", "_modules"):
        for key, own in state[name].items():
            state[name][key] = own if own is None else another(own)
    return module


def activation(kind: str) -> nn.Module:
    """The module of an activation by its name."""
    return ACTIVATIONS[kind]()
