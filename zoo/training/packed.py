"""Nested values as plain JSON and tensors by name, and back: how the state of an optimiser gets into files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .mean import local

TENSOR, PAIRS, TUPLE, DTYPE, HOST = "tensor", "pairs", "tuple", "dtype", "host"
MARKS = frozenset({TENSOR, PAIRS, TUPLE, DTYPE})


def pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON can hold it; its tensors go to ``tensors`` under names that begin with ``name``.

    Raises TypeError for what is neither plain nor a tensor.
    """
    if isinstance(value, Tensor):
        tensors[name] = local(value.detach()).cpu().contiguous()
        return {TENSOR: name, HOST: value.device.type == "cpu"}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value) and not MARKS & value.keys():
            return {key: pack(one, f"{name}.{key}", tensors) for key, one in value.items()}
        return {PAIRS: [[key, pack(one, f"{name}.{key}", tensors)] for key, one in value.items()]}
    if isinstance(value, list | tuple):
        items = [pack(one, f"{name}.{index}", tensors) for index, one in enumerate(value)]
        return {TUPLE: items} if isinstance(value, tuple) else items
    if isinstance(value, torch.dtype):
        return {DTYPE: str(value).removeprefix("torch.")}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name} is a {type(value).__name__}, which no checkpoint can hold")


def unpack(value: Any, tensors: Mapping[str, Tensor], device: torch.device | None = None) -> Any:
    """What :func:`pack` was given. Tensors that were not on the host go to ``device``."""
    if isinstance(value, list):
        return [unpack(one, tensors, device) for one in value]
    if not isinstance(value, dict):
        return value
    if TENSOR in value:
        found = tensors[value[TENSOR]]
        return found if device is None or value[HOST] else found.to(device)
    if DTYPE in value:
        return getattr(torch, value[DTYPE])
    if PAIRS in value:
        return {_key(key): unpack(one, tensors, device) for key, one in value[PAIRS]}
    if TUPLE in value:
        return tuple(unpack(one, tensors, device) for one in value[TUPLE])
    return {key: unpack(one, tensors, device) for key, one in value.items()}


def _key(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key
