"""The state of an engine as files of a checkpoint, and back."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from .mean import held
from .packed import pack, unpack

if TYPE_CHECKING:
    from .checkpoint import Checkpoint, Files
    from .engine import Engine

MODEL, MEAN, OPTIMISER, RANDOM = "model", "mean", "optimiser", "random"


def collect(engine: Engine) -> tuple[dict[str, Any], Files]:
    """What is no tensor, and this process's files.

    Weights that all processes have are written by the first; sharded ones by each. Random numbers are each one's own.
    """
    rank, tensors = engine.rank, dict[str, Tensor]()
    inner = engine.optimiser.optimizer.state_dict() if engine.sharded or engine.first else {}
    facts = {
        OPTIMISER: pack(inner, OPTIMISER, tensors),
        "scaler": engine.accelerator.scaler.state_dict() if engine.accelerator.scaler else None,
        "ranks": engine.ranks,
        "sharded": engine.sharded,
    }
    files: dict[str, Mapping[str, Tensor]] = {f"{RANDOM}-{rank}": generators()}
    if engine.sharded or engine.first:
        files[f"{MODEL}-{rank}"] = _on_host(held(engine.bare))
        files[f"{OPTIMISER}-{rank}"] = tensors
        if engine.mean:
            files[f"{MEAN}-{rank}"] = _on_host(engine.mean.tensors)
    return facts, files


def restore(engine: Engine, checkpoint: Checkpoint) -> None:
    """Put an engine where it was. Raises Damaged, OSError."""
    rank = engine.rank if engine.sharded else 0
    with torch.no_grad():
        weights = checkpoint.tensors(f"{MODEL}-{rank}")
        for name, tensor in held(engine.bare).items():
            tensor.copy_(weights[name])
    if engine.mean:
        engine.mean.load(checkpoint.tensors(f"{MEAN}-{rank}"))
    if engine.accelerator.scaler:
        engine.accelerator.scaler.load_state_dict(checkpoint.facts["scaler"])
    given = unpack(checkpoint.facts[OPTIMISER], checkpoint.tensors(f"{OPTIMISER}-{rank}"), engine.accelerator.device)
    steer(engine.optimiser.optimizer, given)
    if f"{RANDOM}-{engine.rank}" in checkpoint.facts["files"]:
        set_generators(checkpoint.tensors(f"{RANDOM}-{engine.rank}"))


def steer(optimiser: torch.optim.Optimizer, given: Mapping[str, Any]) -> None:
    """Give an optimiser its state, as it was to the bit: its own way casts to the type of the weights."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    optimiser.state.clear()
    for index, state in given["state"].items():
        owner = parameters[index]
        optimiser.state[owner] = {key: _sharded_like(value, owner) for key, value in state.items()}
    for group, wanted in zip(optimiser.param_groups, given["param_groups"], strict=True):
        group.update({key: value for key, value in wanted.items() if key != "params"})


def _sharded_like(value: Any, owner: Tensor) -> Any:
    """A piece of a tensor as the whole it is a piece of, where its parameter is sharded."""
    if not (isinstance(value, Tensor) and isinstance(owner, DTensor) and value.shape == owner.to_local().shape):
        return value
    return DTensor.from_local(
        value, owner.device_mesh, owner.placements, shape=owner.shape, stride=owner.stride(), run_check=False
    )


def _on_host(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def generators() -> dict[str, Tensor]:
    """The states of Python's, NumPy's and torch's random numbers, as tensors."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    assert (version, name) == (3, "MT19937"), "the generators Python and NumPy have had for decades"
    found = {
        "python": torch.tensor(words, dtype=torch.int64),
        "python.gauss": torch.tensor([] if gauss is None else [gauss], dtype=torch.float64),
        "numpy": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "numpy.rest": torch.tensor([position, has_gauss, cached], dtype=torch.float64),
        "torch": torch.get_rng_state(),
    }
    return found | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def set_generators(states: Mapping[str, Tensor]) -> None:
    """The states that :func:`generators` told."""
    gauss = states["python.gauss"].tolist()
    random.setstate((3, tuple(states["python"].tolist()), gauss[0] if gauss else None))
    position, has_gauss, cached = states["numpy.rest"].tolist()
    np.random.set_state(("MT19937", states["numpy"].numpy().astype(np.uint32), int(position), int(has_gauss), cached))
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
