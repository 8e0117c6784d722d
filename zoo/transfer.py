"""The weights of one network for an edited one: kept, resized, widened, new, re-initialised or dropped, by path.

A path is the same in the tree and in the state dict, so a block stays what it is when others come or go. Edits that
leave the function alone: a stage that gets more blocks, which start as identities; an MLP that gets more hidden units,
whose outgoing weights are zero (arXiv:1511.05641, "Net2Net", widens and deepens so that nothing changes either); an odd
kernel with a border of zeros around it; an image size that no weight depends on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..compiler.backbone import Backbone
from ..compiler.errors import SpecError
from ..compiler.layer import Layer, walk
from ..compiler.mlps.mlp import Mlp
from ..compiler.operator import Operator
from ..compiler.parts import Conv
from ..compiler.resolve import Network, placed
from .fates import Fate, Line, lines
from .identity import evaluated, start_as_identity
from .load import fresh
from .resample import SIZES, Reach, places_of, rule

BLOCK = re.compile(r"(.*\bstages\.\d+)\.blocks\.(\d+)(?=\.|$)")
NAMES = SIZES | {"shift"}
"""Settings of operators that may differ: what depends on them is resized."""
PROBE_SEED = 0
State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Transferred:
    """The edited network with what it could take over, and what became of every weight.

    ``change`` is the largest difference of an output on random images of the old size, beside ``scale``, the largest
    output; None where one of the networks does not run at that size.
    """

    model: Backbone
    lines: list[Line]
    compared: Literal["logits", "features"]
    change: float | None
    scale: float = 0.0

    @property
    def lost(self) -> list[Line]:
        """What was re-initialised or dropped."""
        return [line for line in self.lines if line.lost]

    def facts(self) -> dict[str, Any]:
        """The report for JSON."""
        compared = {"compared": self.compared, "change": self.change, "scale": self.scale}
        return {"lines": [line.facts() for line in self.lines], **compared, "lost": bool(self.lost)}


def transfer(model: Backbone, old: Network, new: Network, *, seed: int = 0, reach: Reach = "coverage") -> Transferred:
    """The weights of ``model``, which is ``old``, in the network ``new``; fresh ones follow from ``seed``."""
    state, made = model.state_dict(), fresh(new, seed)
    move = Move(old, new, state, made.state_dict(), reach)
    tensors, fates = move.tensors()
    made.load_state_dict(tensors, strict=True)
    images = torch.randn(2, new.at.c, new.at.h, new.at.w, generator=torch.Generator().manual_seed(PROBE_SEED))
    quiet = start_as_identity(made, move.new_blocks, images) if move.new_blocks else set()
    fates |= {name: _of_block(name, move.new_blocks, quiet) for name in fates if _inside(name, move.new_blocks)}
    told = lines(fates, tensors)
    told += [line for line in lines(move.left(), state) if line.lost and not _replaced(line, told)]
    return Transferred(made, told, *_compared(model, made, old, new))


def _replaced(line: Line, told: list[Line]) -> bool:
    """Whether what was dropped is told of already: something of another kind stands in its place."""
    return any(other.lost and f"{line.path}.".startswith(f"{other.path}.") for other in told)


def _inside(name: str, blocks: list[str]) -> bool:
    return any(name.startswith(f"{block}.") for block in blocks)


def _of_block(name: str, blocks: list[str], quiet: set[str]) -> Fate:
    block = next(block for block in blocks if name.startswith(f"{block}."))
    return Fate("new", "starts as the identity" if block in quiet else "not the identity: changes the function")


@dataclass(frozen=True)
class Move:
    """Two trees and their tensors."""

    old: Network
    new: Network
    theirs: State
    ours: State
    reach: Reach
    aligned: dict[str, str] = field(init=False)
    """Block of the new tree: the block of the old one that it continues."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "aligned", dict(_aligned(_blocks(self.old_layers), _blocks(self.new_layers))))

    @cached_property
    def old_layers(self) -> dict[str, Layer]:
        return {path: layer for path, layer, _ in walk(self.old.family, self.old.at)}

    @cached_property
    def new_layers(self) -> dict[str, Layer]:
        return {path: layer for path, layer, _ in walk(self.new.family, self.new.at)}

    @cached_property
    def new_blocks(self) -> list[str]:
        """Blocks that stages which were there before have gained."""
        there = {stage for stage, _ in _blocks(self.old_layers)}
        return [f"{stage}.blocks.{n}" for stage, n in _blocks(self.new_layers)
                if stage in there and f"{stage}.blocks.{n}" not in self.aligned]  # fmt: skip

    def source(self, path: str) -> str | None:
        """The path in the old tree of one in the new; None where it is new."""
        found = BLOCK.match(path)
        if not found:
            return path
        block = self.aligned.get(found[0])
        return None if block is None else block + path[found.end() :]

    def tensors(self) -> tuple[dict[str, Tensor], dict[str, Fate]]:
        """The tensors of the new network, and what became of the old ones in them."""
        moved = {name: self.moved(name, tensor) for name, tensor in self.ours.items()}
        return {name: pair[0] for name, pair in moved.items()}, {name: pair[1] for name, pair in moved.items()}

    def left(self) -> dict[str, Fate]:
        """Which tensors of the old network have no place in the new one."""
        used = {self.source(name) for name in self.ours}
        return {name: Fate("kept" if name in used else "dropped") for name in self.theirs}

    def moved(self, name: str, fresh: Tensor) -> tuple[Tensor, Fate]:
        """A tensor of the new network: the old one's if that fits or can be made to fit, else its fresh one."""
        source = self.source(name)
        if source is None or source not in self.theirs:
            return fresh, self._without(name)
        if differs := self._differs(name):
            return fresh, Fate("re-initialised", differs)
        old = self.theirs[source]
        if old.shape == fresh.shape:
            return old.clone(), Fate("kept", self._settings(name))
        return self._fitted(name, old, fresh)

    def _without(self, name: str) -> Fate:
        """Of a tensor that the old network has not."""
        differs = self._differs(name) if self.source(name) else ""
        return Fate("re-initialised", differs) if differs else Fate("new")

    def _fitted(self, name: str, old: Tensor, fresh: Tensor) -> tuple[Tensor, Fate]:
        """Of a tensor that has another shape there."""
        said = f"{_shape(old)} to {_shape(fresh)}"
        leaf = self._leaf(name)
        if self.old.at == self.new.at and isinstance(leaf, Conv) and (tensor := bordered(leaf, old, fresh)) is not None:
            return tensor, Fate("widened", f"{said}, with zeros around the kernels")
        if (tensor := self._wider(name, old, fresh)) is not None:
            return tensor, Fate("widened", "hidden units with outgoing weights of zero")
        way = rule(self._places.get(name), tuple(old.shape), tuple(fresh.shape), self.reach)
        if way is not None:
            return way(old, tuple(fresh.shape)).to(fresh.dtype).contiguous(), Fate("resized", said)
        return fresh, Fate("re-initialised", said)

    @cached_property
    def _places(self) -> dict[str, Any]:
        return places_of(self.new)

    def _leaf(self, name: str) -> Layer | None:
        return self.new_layers.get(name, self.new_layers.get(name.rpartition(".")[0]))

    def _wider(self, name: str, old: Tensor, fresh: Tensor) -> Tensor | None:
        """A weight of an MLP with more hidden units: fresh rows in front of the bend, zero columns behind it."""
        owner, _, leaf = name.partition(".fc")
        if not isinstance(self.new_layers.get(owner), Mlp) or leaf[:2] not in ("1.", "2."):
            return None
        axis = int(leaf[0]) - 1
        grown = [new - was for was, new in zip(old.shape, fresh.shape, strict=True)]
        if grown[axis] <= 0 or any(more for index, more in enumerate(grown) if index != axis):
            return None
        rest = fresh.narrow(axis, old.shape[axis], grown[axis])
        return torch.cat([old.to(fresh), rest if axis == 0 else torch.zeros_like(rest)], axis)

    def _differs(self, name: str) -> str:
        """Where the layers around a tensor are of other kinds in the two trees: ``SepConv is now attention``."""
        words = name.split(".")
        for count in range(1, len(words) + 1):
            path = ".".join(words[:count])
            source = self.source(path)
            was, now = self.old_layers.get(source or ""), self.new_layers.get(path)
            if was is not None and now is not None and type(was) is not type(now):
                return f"{_called(was)} is now {_called(now)}"
        return ""

    def _settings(self, name: str) -> str:
        """Settings of the operators around a tensor that are others now, other than sizes."""
        words = name.split(".")
        for count in range(1, len(words)):
            path = ".".join(words[:count])
            was, now = self.old_layers.get(self.source(path) or ""), self.new_layers.get(path)
            if isinstance(was, Operator) and isinstance(now, Operator) and _told(was) != _told(now):
                return f"{was} is now {now}"
        return ""


def bordered(conv: Conv, old: Tensor, fresh: Tensor) -> Tensor | None:
    """Kernels of odd sides in the middle of larger ones of zeros, where the convolution pads by half of its kernel."""
    halves = (conv.sides[0] // 2, conv.sides[1] // 2)
    if old.dim() != 4 or old.shape[:2] != fresh.shape[:2] or conv.pads != halves:
        return None
    more = [new - was for was, new in zip(old.shape[2:], fresh.shape[2:], strict=True)]
    if min(more) < 0 or any(grown % 2 for grown in more) or not all(side % 2 for side in old.shape[2:]):
        return None
    return F.pad(old, (more[1] // 2, more[1] // 2, more[0] // 2, more[0] // 2))


def _blocks(layers: Mapping[str, Layer]) -> dict[tuple[str, int], tuple[str, ...]]:
    """Every block of every stage, with the operators in it, by which blocks are told apart."""
    found: dict[tuple[str, int], list[str]] = {}
    for path, layer in layers.items():
        if match := BLOCK.match(path):
            inside = found.setdefault((match[1], int(match[2])), [])
            if isinstance(layer, Operator):
                inside.append(f"{path[match.end() :]} {layer.notation}")
    return {key: tuple(operators) for key, operators in found.items()}


def _aligned(
    old: dict[tuple[str, int], tuple[str, ...]], new: dict[tuple[str, int], tuple[str, ...]]
) -> Iterator[tuple[str, str]]:
    """Pairs of blocks, new and old: in order where a stage's blocks match as they are, else by number."""
    for stage in dict.fromkeys(stage for stage, _ in new):
        before, after = ([operators for (name, _), operators in side.items() if name == stage] for side in (old, new))
        matcher = SequenceMatcher(None, before, after, autojunk=False)
        pairs = [(b + i, a + i) for a, b, size in matcher.get_matching_blocks() for i in range(size)]
        if len(pairs) < min(len(before), len(after)):
            pairs = [(number, number) for number in range(min(len(before), len(after)))]
        yield from ((f"{stage}.blocks.{b}", f"{stage}.blocks.{a}") for b, a in pairs)


def _told(operator: Operator) -> dict[str, Any]:
    """The settings of an operator without sizes and hidden widths."""
    return {key: value for key, value in dict(operator).items() if key not in NAMES and key != "ratio"}


def _called(layer: Layer) -> str:
    return str(layer) if isinstance(layer, Operator) else type(layer).__name__


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "1"


def _compared(
    model: Backbone, made: Backbone, old: Network, new: Network
) -> tuple[Literal["logits", "features"], float | None, float]:
    """What is compared, the largest difference, and the largest value, on two random images of the old size."""
    what: Literal["logits", "features"] = "logits" if model.num_classes == made.num_classes else "features"
    try:
        placed(new, old.about.image)
    except SpecError:
        return what, None, 0.0
    if old.at.c != new.at.c:
        return what, None, 0.0
    images = torch.randn(2, old.at.c, old.at.h, old.at.w, generator=torch.Generator().manual_seed(PROBE_SEED))
    was, now = (_outputs(one, images, what) for one in (model, made))
    if was.shape != now.shape:
        return what, None, 0.0
    return what, float((was - now).abs().max()), float(was.abs().max())


def _outputs(model: Backbone, images: Tensor, what: str) -> Tensor:
    with evaluated(model):
        if what == "logits":
            return model(images)
        return model.forward_head(model.forward_features(images), pre_logits=True)
