"""Operators for inference whose second operand no longer changes: what follows from it alone is computed once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from . import flat_fft
from .aggregate import aggregate
from .flat_fft import Layout
from .global_conv import by_transform, global_conv, map_layout, sequence_layout
from .numerics import compute_dtype, without_autocast

SIZES = 4
"""Sizes of the input for which a spectrum is held, those seen last."""


class StoredFilters(nn.Module):
    """`global_conv` with filters (C, K, K2) for maps or (C, T) for sequences.

    They fit inputs of any size; their spectra do not, and are made when a size is first seen. Compiled, exported or
    differentiated it is `global_conv` itself.
    """

    filters: Tensor

    def __init__(self, filters: Tensor, *, causal: bool = False) -> None:
        super().__init__()
        self.register_buffer("filters", filters.contiguous())
        self.causal = causal
        self.spectra: dict[tuple[Any, ...], Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        plain = not torch.compiler.is_compiling() and type(x) is Tensor and not x.is_meta
        if not plain or (x.requires_grad and torch.is_grad_enabled()):
            return global_conv(x, self.filters, causal=self.causal)
        flat = self.filters.ndim == 2
        layout = sequence_layout(x, self.filters, self.causal) if flat else map_layout(x, self.filters)
        if not by_transform(x, layout):
            return global_conv(x, self.filters, causal=self.causal)
        with without_autocast(x):
            signal = x.unsqueeze(2) if flat else x
            y = flat_fft.transferred(signal, self._spectrum(layout, compute_dtype(x)), layout)
        return y.squeeze(2) if flat else y

    def _spectrum(self, layout: Layout, dtype: torch.dtype) -> Tensor:
        filters = self.filters
        key = (layout, dtype, filters.device, 0 if filters.is_inference() else filters._version)
        found = self.spectra.pop(key, None)
        if found is None:
            with torch.inference_mode(False), torch.no_grad():  # held beyond the call, it must not be bound to its mode
                maps = filters.unsqueeze(1) if filters.ndim == 2 else filters
                found = flat_fft.spectrum(maps, layout, dtype, flat_fft.pairs(filters.device))
        self.spectra[key] = found  # the last one seen stands last
        for oldest in list(self.spectra)[:-SIZES]:
            del self.spectra[oldest]
        return found

    def _apply(self, fn: Any, recurse: bool = True) -> StoredFilters:
        self.spectra = {}
        super()._apply(fn, recurse)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "spectra": {}}

    def extra_repr(self) -> str:
        return f"{tuple(self.filters.shape)}, causal={self.causal}"


class StoredMaps(nn.Module):
    """`aggregate` with kernels (1, heads * G * G, H, W) for every position that are the same for all images."""

    maps: Tensor

    def __init__(self, maps: Tensor, kernel: int, stride: int) -> None:
        super().__init__()
        self.register_buffer("maps", maps.contiguous())
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return aggregate(x, self.maps, kernel=self.kernel, stride=self.stride)

    def extra_repr(self) -> str:
        return f"kernel={self.kernel}, stride={self.stride}"
