"""Checkpoints of foreign layouts: read without running code, ported to a network of ours, and written back.

This is the one place where a pickle is read, and only as ``torch.load(weights_only=True)`` does it: tensors and plain
containers, nothing that runs.
"""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save as serialise
from torch import Tensor

from ..compiler.backbone import Backbone
from ..compiler.errors import Problem
from ..compiler.lower import lower
from ..compiler.resolve import Network
from .atomic import replacing
from .ports import layout as named
from .ports._layout import NOT_PORTED, PortError, State
from .tensorfile import contents, infinite, read

PICKLED = (".pth", ".pt", ".bin", ".tar", ".ckpt")
WRAPPERS = ("state_dict", "model", "model_state_dict", "module", "state_dict_ema", "model_ema")
"""Entries of a checkpoint that hold the weights; the first that is there is taken."""
PREFIXES = ("module.", "_orig_mod.")
"""What wrappers of a model put before every key."""

DAMAGED = (RuntimeError, EOFError, ValueError, LookupError, AttributeError, TypeError, OSError, struct.error)
"""What torch.load raises for files that are damaged or of another kind."""


def foreign(path: str | Path, key: str | None = None) -> dict[str, Tensor]:
    """The state dict in somebody else's checkpoint: safetensors, or what torch saved.

    ``key`` names the entry of the checkpoint that holds it. Raises PortError for everything that is not tensors alone,
    WeightsError for a damaged safetensors file, OSError.
    """
    file = Path(path)
    if file.suffix not in PICKLED:
        contents(file)
        return read(file)
    held = _unpickled(file)
    state = _unwrapped(file, held, key)
    for prefix in PREFIXES:
        if state and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def ported(path: str | Path, layout: str, network: Network, key: str | None = None) -> Backbone:
    """The network with the weights of a foreign checkpoint, in evaluation mode.

    Raises PortError with every tensor that is missing, left over or of another shape, or is not finite.
    """
    state = foreign(path, key)
    model = lower(network, device="meta")
    try:
        ours = named(layout).ours(state, model.state_dict())
    except PortError as error:
        raise _told(error, path) from None
    if bad := infinite(ours):
        raise _refused(path, bad)
    model.load_state_dict(ours, strict=True, assign=True)
    return model.eval()


def unported(model: Backbone, layout: str, like: State) -> dict[str, Tensor]:
    """The model's weights in a foreign layout; ``like`` is any state dict of that network there. Raises PortError."""
    return named(layout).theirs(model.state_dict(), like)


def write(state: State, path: Path) -> None:
    """A state dict as a plain safetensors file, at once or not at all. Raises OSError."""
    blob = serialise({name: value.contiguous() for name, value in state.items()}, {"format": "pt"})
    with replacing(path) as temporary:
        temporary.write_bytes(blob)


def _unpickled(file: Path) -> Any:
    with file.open("rb") as stream, warnings.catch_warnings():  # torch names no file in its errors
        warnings.filterwarnings("ignore", "Detected pickle protocol", UserWarning)  # what follows says enough
        try:
            return torch.load(stream, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise _unsafe(file, str(error)) from None
        except DAMAGED:
            raise _refused(file, "no checkpoint that torch saved, or a damaged one") from None


def _unsafe(file: Path, reason: str) -> PortError:
    named = re.search(r"GLOBAL ([\w.]+)", reason)
    if not named:
        return _refused(file, "no checkpoint that torch saved, or one with more in it than tensors")
    what = f"more than tensors: loading it would run {named[1]}, so it is not loaded"
    return _refused(file, what, "save its state dict alone where you trust it")


def _unwrapped(file: Path, held: Any, key: str | None) -> dict[str, Tensor]:
    """The state dict inside a checkpoint."""
    keys = [key] if key else WRAPPERS
    entries = held if isinstance(held, Mapping) else {}
    found = next((entries[name] for name in keys if isinstance(entries.get(name), Mapping)), None if key else held)
    if not isinstance(found, Mapping):
        there = ", ".join(list(map(str, entries))[:8]) or "nothing with a name"
        raise _refused(file, f"no state dict{f' under {key}' if key else ''} in the checkpoint", f"it holds {there}")
    if others := [str(name) for name, value in found.items() if not isinstance(value, Tensor)]:
        raise _refused(file, f"{others[0]} in the state dict is no tensor", "name the entry that holds the weights")
    return {str(name): value for name, value in found.items()}


def _refused(path: str | Path, what: str, hint: str = "") -> PortError:
    return PortError(Problem(NOT_PORTED, what, hint, source=str(path)))


def _told(error: PortError, path: str | Path) -> PortError:
    """The same complaint, about a file."""
    return PortError(*(Problem(p.code, p.what, p.hint, source=str(path)) for p in error.problems))
