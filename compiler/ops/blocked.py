"""The aggregation of a whole batch, cut into blocks, each by the form that is fastest for its shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from . import bands, dense, native, native_aggregate, shifts
from .numerics import blocks
from .window import Window

Kernel = Callable[[Tensor, Tensor, Tensor, Window], None]


@dataclass(frozen=True)
class Form:
    """Three kernels over one block; the block size they like, bytes per thread; and whether they take any strides."""

    forward: Kernel
    map_gradient: Kernel
    input_gradient: Kernel
    block_bytes: int
    strided: bool = False


SHIFTS = Form(shifts.forward, shifts.map_gradient, shifts.input_gradient, shifts.BLOCK_BYTES)
DENSE = Form(dense.forward, dense.map_gradient, dense.input_gradient, dense.BLOCK_BYTES)
BANDS = Form(bands.forward, bands.map_gradient, bands.input_gradient, bands.BLOCK_BYTES)
NATIVE = Form(
    native_aggregate.forward,
    native_aggregate.map_gradient,
    native_aggregate.input_gradient,
    native_aggregate.BLOCK_BYTES,
    strided=True,
)


def form_of(window: Window, device: torch.device) -> Form:
    """The form to run."""
    if native.available(device):
        return NATIVE
    if dense.faster(window, device):
        return DENSE
    return BANDS if bands.faster(window, device) else SHIFTS


@dataclass(frozen=True)
class Block:
    """Some heads of some images."""

    images: slice
    heads: slice
    channels: slice

    def of(self, x: Tensor) -> Tensor:
        """This block of a feature map (B, C, H, W)."""
        return x[self.images, self.channels]

    def of_maps(self, maps: Tensor) -> Tensor:
        """This block of a map (B or 1, heads, ...)."""
        return maps[self.images_of(maps), self.heads]

    def images_of(self, tensor: Tensor) -> slice:
        """This block's images of a tensor that may hold one for all of them."""
        return slice(0, 1) if tensor.shape[0] == 1 else self.images


def blocks_of(x: Tensor, heads: int, window: Window, dtype: torch.dtype) -> Iterator[Block]:
    """Cut a batch so that each part fits the block size of the form."""
    form = form_of(window, x.device)
    unit = window.channels * max(window.out_pixels, window.height * window.width) * dtype.itemsize
    for images, hs in blocks(x.shape[0], heads, unit, form.block_bytes, x.device):
        yield Block(images, hs, slice(hs.start * window.channels, hs.stop * window.channels))


def forward_block(x: Tensor, maps: Tensor, out: Tensor, window: Window) -> None:
    """Aggregate into a slice of the output, through a buffer where its layout or dtype is not the computing one."""
    form = form_of(window, x.device)
    direct = out.dtype == maps.dtype and (form.strided or out.is_contiguous())
    y = out if direct else torch.empty(out.shape, dtype=maps.dtype, device=out.device)
    form.forward(x, maps, by_head(y, window), window)
    if not direct:
        out.copy_(y)


def by_head(y: Tensor, window: Window) -> Tensor:
    """(n, C, Ho, Wo) -> (n, heads, channels, Ho * Wo), a view where it can be, as of both memory formats."""
    return y.reshape(y.shape[0], -1, window.channels, window.out_pixels)


def output_gradient(dy: Tensor, dtype: torch.dtype, window: Window) -> Tensor:
    """`by_head` of the gradient of a block's output, as the form wants it."""
    grad = by_head(dy.to(dtype), window)
    return grad if form_of(window, dy.device).strided else grad.contiguous()
