"""Networks that are no tree of layers: what a torch module from elsewhere costs, and how a part of it is exchanged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from .grid import Grid
from .layer import Layer
from .ops import aggregate as _aggregate  # noqa: F401  so that torch's counter knows its work when it is made

_KINDS = {
    "addmm": "bias",
    "add": "add",
    "add_": "add",
    "native_layer_norm": "layernorm",
    "native_batch_norm": "batchnorm",
    "_softmax": "softmax",
    "_safe_softmax": "softmax",
    "relu": "activation",
    "relu_": "activation",
    "gelu": "activation",
    "sigmoid": "activation",
}


@dataclass(frozen=True)
class Trace:
    """Cost of a module for one image, as ``grid.Cost`` has it; ``kept`` in numbers, ``tally`` as in ``Layer.tally``."""

    params: int
    params_trainable: int
    macs: int
    kept: int
    tally: Mapping[str, int]
    shape: tuple[int, ...]


def trace(module: nn.Module, x: Tensor) -> Trace:
    """Run ``module`` on one image on the meta device. Attention is run as matrix products and softmax."""
    for part in module.modules():
        if "fused_attn" in vars(part):
            vars(part)["fused_attn"] = False
    weights = list(module.parameters())
    work, flops = _Work(), FlopCounterMode(display=False)
    with torch.no_grad(), flops, work:
        y = module.eval()(x)
    return Trace(
        sum(weight.numel() for weight in weights),
        sum(weight.numel() for weight in weights if weight.requires_grad),
        flops.get_total_flops() // 2,
        _kept(module.train(), x),
        dict(work.tally),
        tuple(y.shape),
    )


class _Work(TorchDispatchMode):
    """Elements of pointwise work by kind, as every operator is dispatched."""

    def __init__(self) -> None:
        super().__init__()
        self.tally: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        out = result[0] if isinstance(result, tuple | list) else result
        if isinstance(out, Tensor):
            kind, elements = _kind(func.overloadpacket.__name__, args), out.numel()
            if kind == "aggregation":
                elements *= args[2] ** 2
            if kind:
                self.tally[kind] += elements
        return result


def _kind(name: str, args: Any) -> str | None:
    """The kind of work an operator does, if it is one that counters know."""
    if name == "convolution":
        return "bias" if args[2] is not None else None
    if name in ("add", "add_") and not isinstance(args[1], Tensor):
        return None
    return "aggregation" if name == "aggregate" else _KINDS.get(name)


def _kept(module: nn.Module, x: Tensor) -> int:
    """Numbers that autograd keeps for one image: from two and three, since BatchNorm cannot train on one."""
    two, three = (_stored(module, x.expand(batch, *x.shape[1:])) for batch in (2, 3))
    return (three - two) // 4


def _stored(module: nn.Module, x: Tensor) -> int:
    """Bytes of all storages that autograd keeps, weights left out."""
    own = {tensor.untyped_storage()._cdata for tensor in (*module.parameters(), *module.buffers())}
    stored: dict[int, tuple[Any, int]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            stored[storage._cdata] = storage, storage.nbytes()  # held, so that its number is not given to another
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        y = module(x)
    total = sum(nbytes for _, nbytes in stored.values())
    del y
    return total


def seen(model: nn.Module, part: nn.Module, x: Tensor) -> tuple[Any, ...]:
    """What ``part`` is called with when ``model`` runs on ``x``."""
    calls: list[tuple[Any, ...]] = []
    handle = part.register_forward_pre_hook(lambda module, args: calls.append(args))
    with torch.no_grad():
        model(x)
    handle.remove()
    if not calls:
        raise ValueError("it is not called")
    return calls[0]


class Exchanged(nn.Module):
    """The module of ``layer`` on ``at`` in the place of one that works on (B, H W, C) tokens or (B, H, W, C) maps.

    Whatever else the original is called with is ignored, but for a (height, width) behind tokens.
    """

    def __init__(self, mixer: nn.Module, channels_last: bool, layer: Layer, at: Grid) -> None:
        super().__init__()
        self.mixer, self.channels_last = mixer, channels_last
        self.layer, self.at = layer, at

    def forward(self, x: Tensor, *more: Any) -> Tensor:
        if x.dim() == 3:
            y: Tensor = self.mixer(x.transpose(1, 2).unflatten(2, size_of(x, more)))
            return y.flatten(2).transpose(1, 2)
        if self.channels_last:
            y = self.mixer(x.permute(0, 3, 1, 2))
            return y.permute(0, 2, 3, 1)
        return self.mixer(x)


def size_of(x: Tensor, more: tuple[Any, ...]) -> tuple[int, int]:
    """Height and width of tokens (B, H W, C): told behind them, or else those of a square. Raises ValueError."""
    if more and isinstance(more[0], tuple | list) and len(more[0]) == 2:
        return int(more[0][0]), int(more[0][1])
    side = round(x.shape[1] ** 0.5)
    if side**2 != x.shape[1]:
        raise ValueError(f"{x.shape[1]} tokens are no square map")
    return side, side


def map_of(part: nn.Module, args: tuple[Any, ...]) -> tuple[int, int, int, bool]:
    """Height, width and channels of the map that a part is called with, and whether channels come last.

    Tokens (B, H W, C) or maps; among maps, the part's first linear map or convolution tells where the channels are.
    Raises ValueError.
    """
    x = args[0]
    if x.dim() == 3:
        return *size_of(x, args[1:]), x.shape[2], True
    if x.dim() != 4:
        raise ValueError(f"its input has {x.dim()} dimensions")
    for module in part.modules():
        if isinstance(module, nn.Linear) and module.in_features == x.shape[3]:
            return x.shape[1], x.shape[2], x.shape[3], True
        if isinstance(module, nn.Conv2d | nn.Linear):
            return x.shape[2], x.shape[3], x.shape[1], False
    return x.shape[2], x.shape[3], x.shape[1], False
