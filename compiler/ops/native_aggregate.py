"""The native form of the aggregation: `native_aggregate.cpp`, all heads of a batch in one call for each thread, where
there is a C++ compiler (see `native`).

Tensors may have any strides. A map has one of two sources: it is stored, or mixed from CADA's factors a tile at a time,
and a tile of its gradient then goes into theirs at once.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from . import native
from .numerics import empty_like_layout
from .window import Window

BLOCK_BYTES = 1 << 26
"""Per thread. C++ cuts up the batch; blocks only bound what is copied to another type."""


@dataclass(frozen=True)
class Source:
    """Where the map comes from: stored (N or 1, heads * G * G, Ho, Wo), or coefficients (N or 1, groups * b, Ho, Wo),
    bank (heads * G * G, b) and position (heads * G * G,) or None, all in the dtype computed in. Or their gradients.
    """

    values: Tensor
    bank: Tensor | None = None
    position: Tensor | None = None

    @classmethod
    def mixed(cls, alpha: Tensor, bank: Tensor, position: Tensor | None, dtype: torch.dtype) -> Source:
        """From the factors as `aggregate_decomposed` takes them."""
        position = None if position is None else position.to(dtype).contiguous()
        return cls(alpha.to(dtype), bank.to(dtype).flatten(1).contiguous(), position)

    @property
    def base(self) -> int:
        return 0 if self.bank is None else self.bank.shape[1]

    def tensors(self, images: slice = slice(None)) -> list[Tensor]:
        """Those there are, some images of the first."""
        return [self.values[images], *(t for t in (self.bank, self.position) if t is not None)]

    def zeros(self, images: slice) -> Source:
        """Accumulators for the gradients, some images of the coefficients'."""
        bank, position = (None if t is None else torch.zeros_like(t) for t in (self.bank, self.position))
        values = self.values[images]
        return Source(empty_like_layout(values, tuple(values.shape)).zero_(), bank, position)


@dataclass(frozen=True)
class _Job:
    """What a call is about: x (N, C, H, W), y or its gradient (N, C, Ho, Wo), and gradients where they are wanted."""

    x: Tensor
    source: Source
    y: Tensor
    window: Window
    dx: Tensor | None = None

    @property
    def heads(self) -> int:
        """Of an image."""
        return self.y.shape[1] // self.window.channels

    @property
    def total(self) -> int:
        """Heads of all images."""
        return len(self.y) * self.heads

    def run(self, name: str, first: int, last: int, gradients: Source | None = None, image: int = 0) -> None:
        """Call a function of the library on some of the heads; gradients of maps or coefficients begin at an image."""
        given, made = self.source, gradients or Source(self.x.new_empty(0))
        call = _Call(
            *(self.window.kernel, self.window.stride, self.window.height, self.window.width, self.window.channels),
            *(self.heads, given.base, given.values.shape[1] // given.base if given.base else self.heads),
            *(_View.of(self.x), _View.of(given.values), _View.of(self.y), _View.of(self.dx)),
            _View.of(made.values if gradients else None, image),
            *(_pointer(t) for t in (given.bank, given.position, made.bank, made.position)),
        )
        native.function(name, self.y.dtype, ARGUMENTS)(call, first, last)


def forward(x: Tensor, maps: Tensor, y: Tensor, window: Window) -> None:
    """What `shifts.forward` computes, in this form."""
    mixed_forward(x, Source(_image(maps, window)), _image(y, window), window)


def map_gradient(x: Tensor, grad: Tensor, dmaps: Tensor, window: Window) -> None:
    """What `shifts.map_gradient` computes, in this form."""
    made = Source(_image(dmaps, window))
    job = _Job(x.to(grad.dtype), made, _image(grad, window), window)
    # images that share a map add to the same gradient, and must take turns
    native.spread(lambda i, j: job.run("aggregate_backward", i, j, made), job.total, alone=len(dmaps) < len(grad))


def input_gradient(maps: Tensor, grad: Tensor, dx: Tensor, window: Window) -> None:
    """What `shifts.input_gradient` computes, in this form."""
    made = _new_gradient(dx, grad.dtype, window)
    job = _Job(made, Source(_image(maps, window)), _image(grad, window), window, made)
    native.spread(lambda i, j: job.run("aggregate_backward", i, j), job.total)
    dx.copy_(made)


def mixed_forward(x: Tensor, source: Source, y: Tensor, window: Window) -> None:
    """Aggregate x (N, C, H, W) into y (N, C, Ho, Wo), which has the dtype computed in."""
    job = _Job(x.to(y.dtype), source, y, window)
    native.spread(lambda i, j: job.run("aggregate", i, j), job.total)


def mixed_backward(
    x: Tensor, source: Source, dy: Tensor, window: Window, need_dx: bool
) -> tuple[Tensor | None, Source]:
    """The gradients of x, where it is wanted, and of the factors, in the dtype of dy."""
    dx = _new_gradient(x, dy.dtype, window) if need_dx else None
    job, one_for_all = _Job(x.to(dy.dtype), source, dy, window, dx), len(source.values) == 1

    def part(first: int, last: int) -> tuple[slice, Source]:
        # shares meet within an image, and all have to do with the bank: each adds to gradients of its own
        images = slice(0, 1) if one_for_all else slice(first // job.heads, -(-last // job.heads))
        made = source.zeros(images)
        job.run("aggregate_backward", first, last, made, images.start)
        return images, made

    shares = native.spread(part, job.total)
    if len(shares) == 1:
        return dx, shares[0][1]
    total = source.zeros(slice(None))
    for images, made in shares:
        for into, gradient in zip(total.tensors(images), made.tensors(), strict=True):
            into += gradient
    return dx, total


def _image(planes: Tensor, window: Window) -> Tensor:
    """(n, heads, channels or taps, Ho * Wo) seen as (n, heads * channels or taps, Ho, Wo)."""
    return planes.view(len(planes), -1, window.out_height, window.out_width)


def _new_gradient(x: Tensor, dtype: torch.dtype, window: Window) -> Tensor:
    """In the layout of x; zeros where a stride may leave some out."""
    made = empty_like_layout(x, tuple(x.shape)).to(dtype)
    return made.zero_() if window.stride > 1 else made


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


class _View(ctypes.Structure):
    """`View` of native_aggregate.cpp."""

    _fields_ = [("data", ctypes.c_void_p), *((name, ctypes.c_long) for name in ("image", "channel", "row", "column"))]

    @classmethod
    def of(cls, tensor: Tensor | None, first: int = 0) -> _View:
        """Of a tensor that begins with image number `first`; one image stands for all."""
        if tensor is None:
            return cls()
        image, *others = tensor.stride()
        if len(tensor) == 1:
            return cls(tensor.data_ptr(), 0, *others)
        return cls(tensor.data_ptr() - first * image * tensor.itemsize, image, *others)


class _Call(ctypes.Structure):
    """`Call` of native_aggregate.cpp."""

    _fields_ = [
        *((name, ctypes.c_long) for name in ("kernel", "stride", "height", "width")),
        *((name, ctypes.c_long) for name in ("channels", "heads", "base", "groups")),
        *((name, _View) for name in ("x", "source", "y", "dx", "dsource")),
        *((name, ctypes.c_void_p) for name in ("bank", "position", "dbank", "dposition")),
    ]


ARGUMENTS = [ctypes.POINTER(_Call), ctypes.c_long, ctypes.c_long]
