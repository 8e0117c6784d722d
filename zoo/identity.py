"""New residual blocks that start as the identity, so that a deeper network computes what the shallower one did.

What has to be zero differs from block to block: a factor of the branch, the last map of the block, the last of every
branch, or the norm in front of a branch that holds no weights. Each is tried, and the network says which one works: a
block is the identity when what comes out of it is what went in. Exactly one factor of each branch is zero, so that it
has a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from ..compiler.backbone import Backbone
from ..compiler.bound import Bound
from ..compiler.norm import Norm

CLOSE = 1e-6
"""How far an identity may be off, relative to the largest value."""

Zeroed = list[Tensor]


def start_as_identity(model: Backbone, blocks: Iterable[str], image: Tensor) -> set[str]:
    """Zero what makes the named blocks identities on this image; those where it worked. The others stay as they are."""
    left, done = set(blocks), set[str]()
    for way in (_factors, _last, _last_of_branches, _norms):
        before = {path: _zero(way(model.get_submodule(path))) for path in sorted(left)}
        right = _identities(model, left, image)
        for path in left - right:
            _restore(before[path])
        left, done = left - right, done | right
    return done


def _factors(block: nn.Module) -> Zeroed:
    """Learnt factors of the branches: those directly in the block."""
    return [weight for name, weight in block.named_parameters(recurse=False) if name.startswith("scale")]


def _last(block: nn.Module) -> Zeroed:
    """The last layer with weights."""
    return _weights(_holders(block)[-1:])


def _last_of_branches(block: nn.Module) -> Zeroed:
    """The last layer with weights of every part; the norm in front of a part without any."""
    found: Zeroed = []
    before: nn.Module | None = None
    for part in block.children():
        if _is_branch(part):
            held = _holders(part)
            found += _weights(held[-1:] if held else [before] if before is not None else [])
        before = part
    return found


def _norms(block: nn.Module) -> Zeroed:
    """The norms in front of the branches."""
    parts = list(block.children())
    return _weights([norm for norm, part in pairwise(parts) if _is_branch(part)])


def _is_branch(part: nn.Module) -> bool:
    """Whether a part of a block is more than a single layer or a norm."""
    return isinstance(part, nn.Sequential) or (isinstance(part, Bound) and not isinstance(part.layer, Norm))


def _holders(module: nn.Module) -> list[nn.Module]:
    """The modules that hold weights themselves, in order."""
    return [inner for inner in module.modules() if any(True for _ in inner.parameters(recurse=False))]


def _weights(modules: Iterable[nn.Module]) -> Zeroed:
    return [weight for module in modules for weight in module.parameters()]


def _zero(weights: Zeroed) -> list[tuple[Tensor, Tensor]]:
    """Set them to zero; they and their old values."""
    before = [(weight, weight.detach().clone()) for weight in weights]
    with torch.no_grad():
        for weight in weights:
            weight.zero_()
    return before


def _restore(before: Iterable[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for weight, value in before:
            weight.copy_(value)


def _identities(model: Backbone, blocks: Iterable[str], image: Tensor) -> set[str]:
    """The blocks whose output is their input when the model reads this image."""
    found: set[str] = set()

    def look(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, given: Any, made: Any) -> None:
            x, y = _tensor(given), _tensor(made)
            if x.shape == y.shape and float((x - y).abs().max()) <= CLOSE * float(x.abs().max()):
                found.add(path)

        return hook

    with evaluated(model), hooked(model, {path: look(path) for path in blocks}):
        model(image)
    return found


def _tensor(value: Any) -> Tensor:
    """The first tensor of what a module is given, or gives."""
    return value if isinstance(value, Tensor) else _tensor(value[0])


@contextmanager
def evaluated(model: nn.Module) -> Iterator[None]:
    """In evaluation mode and without gradients; the mode comes back."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


@contextmanager
def hooked(model: nn.Module, hooks: Mapping[str, Callable[[nn.Module, Any, Any], None]]) -> Iterator[None]:
    """With a forward hook on each of the named modules."""
    handles = [model.get_submodule(path).register_forward_hook(hook) for path, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
