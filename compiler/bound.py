"""The one generic module: parts made real, and the layer's own forward."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .grid import Grid
from .recompute import recomputed

if TYPE_CHECKING:
    from .layer import Layer


class Bound(nn.Module):
    """A layer bound to its parts. ``forward`` is the layer's, which finds its parts as attributes of this module."""

    again = False
    """Whether backward computes the inside again in place of keeping it."""

    def __init__(self, layer: Layer, at: Grid, children: Mapping[str, nn.Module | Tensor]) -> None:
        super().__init__()
        self.layer = layer
        self.at = at
        adopt(self, children)

    if TYPE_CHECKING:  # parts are whatever the layer declares

        def __getattr__(self, name: str) -> Any: ...

    def forward(self, x: Tensor, *more: Any) -> Any:
        if self.again and torch.is_grad_enabled():
            return recomputed(self.layer.forward, self, x, *more)
        return self.layer.forward(self, x, *more)

    def extra_repr(self) -> str:
        return str(self.layer)


def adopt(owner: nn.Module, children: Mapping[str, nn.Module | Tensor]) -> None:
    """Register modules, parameters and buffers under their names."""
    kind = type(owner)
    for name, child in children.items():
        # what the instance has, torch refuses by itself
        assert not hasattr(kind, name), f"{name} is taken on {kind.__name__}: choose another name for the part"
        if isinstance(child, nn.Module):
            owner.add_module(name, child)
        elif isinstance(child, nn.Parameter):
            owner.register_parameter(name, child)
        else:
            owner.register_buffer(name, child)


def sequential(children: Mapping[str, nn.Module | Tensor]) -> nn.Sequential:
    """The modules one after another."""
    module = nn.Sequential()
    adopt(module, children)
    return module
