"""From tree to ``nn.Module``: one recursion builds, one walk fills the weights."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from .. import __version__
from .backbone import Backbone
from .family import Family
from .grid import Grid
from .init import Init, TorchDefault
from .layer import Layer, place, walk
from .modules import another
from .ops import aggregate, global_conv  # noqa: F401  FlopCounterMode reads the operators' formulas when it is made
from .parts import Leaf
from .resolve import Network

# torch keeps compiled programs on disk, and does not see that an operator in them has another version now
torch.compiler.config.cache_key_tag += f" mixspec {__version__}"


def lower(network: Network, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> Backbone:
    """The network as a module with fresh weights, in training mode. On ``meta`` it has shapes only."""
    family = network.family
    module = cast(Backbone, lower_layer(family, network.at, init=family.init, device=device, dtype=dtype))
    module.resolved = replace(network, document=None)
    return module


def lower_layer(
    layer: Layer,
    at: Grid,
    *,
    init: Init | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """Any layer on its grid as a module with fresh weights, drawn from torch's generator in the order of the tree."""
    with _uncollected():
        module = _build(layer, at)
    assert isinstance(module, nn.Module), f"{type(layer).__name__} is a tensor, not a module"
    if dtype is not None:
        module = module.to(dtype)
    if torch.device(device).type == "meta":
        return module
    # as `to_empty` does, whose `empty_like` goes through a decomposition for tensors on meta, and loads SymPy for it
    module._apply(lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype, device=device))
    initialise(module, layer, at, init or TorchDefault())
    return module


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which the dozen containers of each module would call up, to find no garbage."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _build(layer: Layer, at: Grid) -> nn.Module | Tensor:
    if isinstance(layer, Leaf):
        return another(_first(layer, at, torch.get_default_dtype()))
    placed = {name: place(part, at) for name, part in layer.parts(at).items()}
    return layer.module(at, {name: _build(part.layer, part.at) for name, part in placed.items()})


@lru_cache(maxsize=1024)
def _first(leaf: Leaf, at: Grid, dtype: torch.dtype) -> nn.Module | Tensor:
    """What a leaf is made into, for others to be copied from: networks repeat their leaves."""
    return leaf.module(at, {})


@torch.no_grad()
def initialise(module: nn.Module, layer: Layer, at: Grid, init: Init) -> None:
    """Fill every weight and buffer in place. A family inside the tree keeps its own convention."""
    for path, part, _ in walk(layer, at):
        if isinstance(part, Family):
            init = part.init
        if isinstance(part, Leaf):
            part.initialise(_find(module, path), init)


def _find(module: nn.Module, path: str) -> Any:
    owner, _, name = path.rpartition(".")
    return getattr(module.get_submodule(owner), name) if path else module
