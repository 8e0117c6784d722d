"""The leaves of the tree: what torch already has, as data.

A leaf knows its own channel counts, so only the positions of the grid it stands on matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .grid import Grid
from .init import ONES, ZEROS, Init
from .layer import Layer, Modules

if TYPE_CHECKING:
    from torch import Tensor, nn

Activation = Literal["relu", "gelu", "quick_gelu", "silu", "star_relu", "squared_relu", "sigmoid", "tanh"]


class Leaf(Layer):
    """A layer that is one torch module (or tensor) and has no parts."""

    __slots__ = ()

    def initialise(self, module: Any, default: Init) -> None:
        """Fill the module's weights in place; ``default`` is the family's convention."""


@dataclass(frozen=True, slots=True)
class Conv(Leaf):
    """Convolution on (B, C, H, W). ``kernel`` and ``padding`` are one number or (height, width); padding defaults to
    half the kernel.
    """

    cin: int
    cout: int
    kernel: int | tuple[int, int]
    stride: int = 1
    padding: int | tuple[int, int] | None = None
    groups: int = 1
    bias: bool = False
    init: Init | None = None
    shared_input: bool = False
    """The input is kept for backward by another layer that reads it too, so that it is counted there."""

    @property
    def sides(self) -> tuple[int, int]:
        return self.kernel if isinstance(self.kernel, tuple) else (self.kernel, self.kernel)

    @property
    def pads(self) -> tuple[int, int]:
        if self.padding is None:
            return self.sides[0] // 2, self.sides[1] // 2
        return self.padding if isinstance(self.padding, tuple) else (self.padding, self.padding)

    def params(self) -> int:
        return self.cout * (self.cin // self.groups) * math.prod(self.sides) + self.cout * self.bias

    def out(self, at: Grid) -> Grid:
        if self.kernel == 1 and self.stride == 1 and not self.padding:
            return at.to(self.cout)
        (kh, kw), (ph, pw) = self.sides, self.pads
        return Grid((at.h + 2 * ph - kh) // self.stride + 1, (at.w + 2 * pw - kw) // self.stride + 1, self.cout)

    def macs(self, at: Grid) -> int:
        return self.out(at).size * (self.cin // self.groups) * math.prod(self.sides)

    def kept(self, at: Grid) -> int:
        return 0 if self.shared_input else at.pixels * self.cin

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from torch import nn

        from .modules import unfilled

        make = unfilled(nn.Conv2d)
        return make(self.cin, self.cout, self.sides, self.stride, self.pads, groups=self.groups, bias=self.bias)

    def initialise(self, module: Any, default: Init) -> None:
        _fill(module, self.init or default)


@dataclass(frozen=True, slots=True)
class Linear(Leaf):
    """Linear map over channels, at every position of a (B, C, H, W) map or on (B, C) vectors."""

    cin: int
    cout: int
    bias: bool = False
    init: Init | None = None
    shared_input: bool = False

    def params(self) -> int:
        return self.cin * self.cout + self.cout * self.bias

    def out(self, at: Grid) -> Grid:
        return at.to(self.cout)

    def macs(self, at: Grid) -> int:
        return at.pixels * self.cin * self.cout

    def kept(self, at: Grid) -> int:
        return 0 if self.shared_input else at.pixels * self.cin

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from .modules import Pointwise, unfilled

        return unfilled(Pointwise)(self.cin, self.cout, self.bias)

    def initialise(self, module: Any, default: Init) -> None:
        _fill(module, self.init or default)


@dataclass(frozen=True, slots=True)
class BatchNorm(Leaf):
    """Batch normalisation with running statistics; ``start`` is the initial scale."""

    c: int
    eps: float = 1e-5
    start: float = 1.0
    shared_input: bool = False

    def params(self) -> int:
        return 2 * self.c

    def out(self, at: Grid) -> Grid:
        return at.to(self.c)

    def kept(self, at: Grid) -> int:
        return 0 if self.shared_input else at.pixels * self.c

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from torch import nn

        from .modules import unfilled

        return unfilled(nn.BatchNorm2d)(self.c, eps=self.eps)

    def initialise(self, module: Any, default: Init) -> None:
        module.reset_parameters()
        module.weight.fill_(self.start)


@dataclass(frozen=True, slots=True)
class LayerNorm(Leaf):
    """Layer normalisation over the channels of every position."""

    c: int
    bias: bool = True
    eps: float = 1e-5

    def params(self) -> int:
        return self.c * (1 + self.bias)

    def out(self, at: Grid) -> Grid:
        return at.to(self.c)

    def kept(self, at: Grid) -> int:
        return at.pixels * (self.c + 2)

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from .modules import ChannelNorm, unfilled

        return unfilled(ChannelNorm)(self.c, eps=self.eps, bias=self.bias)

    def initialise(self, module: Any, default: Init) -> None:
        module.reset_parameters()


@dataclass(frozen=True, slots=True)
class GroupNorm(Leaf):
    """Normalisation over all positions and the channels of a group, image by image. arXiv:1803.08494."""

    c: int
    groups: int = 1
    bias: bool = True
    eps: float = 1e-5

    def params(self) -> int:
        return self.c * (1 + self.bias)

    def kept(self, at: Grid) -> int:
        return at.pixels * self.c + 2 * self.groups

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from torch import nn

        from .modules import unfilled

        module = unfilled(nn.GroupNorm)(self.groups, self.c, eps=self.eps)
        if not self.bias:
            module.register_parameter("bias", None)
        return module

    def initialise(self, module: Any, default: Init) -> None:
        module.weight.fill_(1.0)
        if self.bias:
            module.bias.zero_()


@dataclass(frozen=True, slots=True)
class Act(Leaf):
    """A pointwise non-linearity. ``star_relu`` is s * relu(x)^2 + b with two learnt scalars (arXiv:2210.13452)."""

    kind: Activation
    c: int
    over: bool = False
    """The result may be written over the input, which nobody else reads and whoever made it does not keep."""

    def params(self) -> int:
        return 2 if self.kind == "star_relu" else 0

    def out(self, at: Grid) -> Grid:
        return at.to(self.c)

    def kept(self, at: Grid) -> int:
        per_element = {"gelu": 1, "quick_gelu": 2, "silu": 1, "star_relu": 1, "squared_relu": 1}
        return per_element.get(self.kind, 0) * at.pixels * self.c

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from torch import nn

        from .modules import activation

        return nn.ReLU(inplace=True) if self.over and self.kind == "relu" else activation(self.kind)

    def initialise(self, module: Any, default: Init) -> None:
        if self.kind == "star_relu":
            module.reset_parameters()


@dataclass(frozen=True, slots=True)
class Pool(Leaf):
    """Average or max pooling. Borders count only what is inside the map, or with ``zeros`` the padding too;
    ``ceil`` keeps a last, partial window.
    """

    kind: Literal["avg", "max"]
    kernel: int
    stride: int = 1
    padding: int | None = None
    ceil: bool = False
    c: int = 0
    zeros: bool = False
    shared_input: bool = False

    @property
    def pad(self) -> int:
        return self.kernel // 2 if self.padding is None else self.padding

    def out(self, at: Grid) -> Grid:
        def side(size: int) -> int:
            free = size + 2 * self.pad - self.kernel
            if not self.ceil:
                return free // self.stride + 1
            count = -(-free // self.stride) + 1
            return count - ((count - 1) * self.stride >= size + self.pad)

        return Grid(side(at.h), side(at.w), at.c)

    def kept(self, at: Grid) -> int:
        # max pooling keeps the int64 index of every output beside its input
        indices = 2 * self.out(at).size if self.kind == "max" else 0
        return indices + (0 if self.shared_input else at.size)

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from torch import nn

        if self.kind == "max":
            return nn.MaxPool2d(self.kernel, self.stride, self.pad, ceil_mode=self.ceil)
        return nn.AvgPool2d(self.kernel, self.stride, self.pad, ceil_mode=self.ceil, count_include_pad=self.zeros)


@dataclass(frozen=True, slots=True)
class GlobalPool(Leaf):
    """Mean over all positions: (B, C, H, W) to (B, C)."""

    def out(self, at: Grid) -> Grid:
        return Grid(1, 1, at.c)

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from .modules import GlobalPool as Module

        return Module()


@dataclass(frozen=True, slots=True)
class Drop(Leaf):
    """Dropout in training, nothing in evaluation."""

    rate: float

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from torch import nn

        return nn.Dropout(self.rate)


@dataclass(frozen=True, slots=True)
class DropPath(Leaf):
    """Stochastic depth: drops the whole branch for an image, in training (arXiv:1603.09382)."""

    rate: float

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from .modules import DropPath as Module

        return Module(self.rate)


@dataclass(frozen=True, slots=True)
class Identity(Leaf):
    """Nothing."""

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from torch import nn

        return nn.Identity()


@dataclass(frozen=True, slots=True)
class Weight(Leaf):
    """A bare parameter. ``decay=False`` exempts it from weight decay, ``frozen=True`` stops it from learning;
    with ``init=None`` it starts as the family's convolutions do.
    """

    shape: tuple[int, ...]
    init: Init | None = ZEROS
    decay: bool = True
    frozen: bool = False

    def params(self) -> int:
        return math.prod(self.shape)

    def params_trainable(self) -> int:
        return 0 if self.frozen else self.params()

    def module(self, at: Grid, children: Modules) -> Tensor:
        import torch

        return torch.nn.Parameter(torch.empty(self.shape, device="meta"), requires_grad=not self.frozen)

    def initialise(self, module: Any, default: Init) -> None:
        (self.init or default).weight(module)


@dataclass(frozen=True, slots=True)
class Buffer(Leaf):
    """A tensor that belongs to the weights file and never learns."""

    shape: tuple[int, ...]
    init: Init

    def module(self, at: Grid, children: Modules) -> Tensor:
        import torch

        return torch.empty(self.shape, device="meta")

    def initialise(self, module: Any, default: Init) -> None:
        self.init.weight(module)


def scale(c: int) -> Weight:
    """A learnt factor per channel, one at the start, without weight decay."""
    return Weight((c,), init=ONES, decay=False)


def _fill(module: Any, init: Init) -> None:
    init.weight(module.weight)
    if module.bias is not None:
        init.bias(module.bias, module.weight)
