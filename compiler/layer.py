"""What any layer answers, from a 1x1 convolution to a whole backbone.

A layer is a frozen value. Placed on a ``Grid`` it says, without torch, what shape comes out (``out``), which parts it
holds (``parts``), what work it does between them (``macs``, ``fft_flops``, ``kept``) and what is wrong with the place
(``check``). The tree that these answers span is the network; every verb of the compiler is one walk over it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from .errors import Problem
from .grid import Grid

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .bound import Bound

Modules: TypeAlias = "dict[str, nn.Module | Tensor]"


class Layer:
    """The contract. Every answer has a default that suits a layer without that property."""

    def out(self, at: Grid) -> Grid:
        """Shape of the output for an input of shape ``at``."""
        return at

    def parts(self, at: Grid) -> Parts:
        """The layers this one is made of, by the name they have in the module and the state dict.

        A part stands on its owner's input grid unless it is placed elsewhere with :meth:`on`.
        """
        return {}

    def check(self, at: Grid) -> Iterator[Problem]:
        """What is wrong with this layer on this grid; ``where`` is relative to the layer."""
        yield from ()

    def params(self) -> int:
        """Numbers this layer itself holds as parameters; its parts answer for theirs."""
        return 0

    def params_trainable(self) -> int:
        """Those of its own parameters that learn."""
        return self.params()

    def macs(self, at: Grid) -> int:
        """Multiply-adds of the work between the parts, for one image."""
        return 0

    def fft_flops(self, at: Grid) -> int:
        """Work of Fourier transforms between the parts, for one image, in flops."""
        return 0

    def tally(self, at: Grid) -> Mapping[str, int]:
        """Elements of the pointwise work between the parts, by kind, for one image.

        Kinds: ``add`` (residuals), ``mul`` (gates, scales), ``softmax``, ``mask``, ``table`` (position biases added),
        ``aggregation`` (multiply-adds of ``macs`` that are weighted sums in an operator of its own). The price lists of
        other tools' counters read it; it is no part of ``macs``. A network that is no tree (a timm model) also lists
        what its leaves would answer for: ``bias``, ``batchnorm``, ``layernorm``, ``activation``.
        """
        return {}

    def kept(self, at: Grid) -> int:
        """Numbers autograd keeps for the work between the parts, for one image.

        A tensor is counted once, by the layer that reads it: a convolution, a linear map or a norm counts its input.
        So an activation that keeps its output counts nothing when such a layer follows.
        """
        return 0

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        """The computation on (B, C, H, W) tensors; ``m`` holds the parts under their names."""
        raise TypeError(f"{type(self).__name__} is lowered to a torch module and has no forward of its own")

    def module(self, at: Grid, children: Modules) -> nn.Module | Tensor:
        """The torch module of this layer, given those of its parts."""
        from .bound import Bound

        return Bound(self, at, children)

    def freeze(self, m: Bound) -> nn.Module:
        """What takes the place of ``m`` in an inference copy, where weights no longer change.

        For layers that compute something from weights alone: here they do so once. ``m`` belongs to the copy and may be
        changed; its parts are frozen already. Nothing needs to be done for norms, dropout and stochastic depth.
        """
        return m

    def on(self, at: Grid) -> On:
        """This layer as a part that stands on another grid than its owner's input."""
        return On(self, at)


@dataclass(frozen=True, slots=True)
class On:
    """A layer and the grid it stands on."""

    layer: Layer
    at: Grid


Parts: TypeAlias = Mapping[str, Layer | On]


def place(part: Layer | On, at: Grid) -> On:
    """A part where it stands: its own place, or else its owner's grid."""
    return part if isinstance(part, On) else On(part, at)


def chain(layers: Mapping[str, Layer], at: Grid) -> dict[str, On]:
    """Layers that feed one another: each stands on what the one before gives."""
    placed: dict[str, On] = {}
    steady = None
    for name, layer in layers.items():
        placed[name] = On(layer, at)
        if layer is not steady:  # the layer before, where it kept the shape: it would again
            out = layer.out(at)
            at, steady = out, layer if out == at else None
    return placed


def walk(layer: Layer, at: Grid, path: str = "") -> Iterator[tuple[str, Layer, Grid]]:
    """Every layer of a tree with its path and grid, owners before parts, in order of declaration."""
    yield path, layer, at
    prefix = f"{path}." if path else ""
    for name, part in layer.parts(at).items():
        stands = place(part, at)
        yield from walk(stands.layer, stands.at, prefix + name)


@dataclass(frozen=True, slots=True)
class Sequence(Layer):
    """Layers one after another, named 0, 1, 2, ...; an ``nn.Sequential`` when lowered."""

    layers: tuple[Layer, ...]
    hashed: int = field(init=False, repr=False, compare=False)
    """Its hash, kept: every memory of blocks and stages asks for it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "hashed", hash(self.layers))

    def __hash__(self) -> int:
        return self.hashed

    def __reduce__(self) -> tuple[type[Sequence], tuple[tuple[Layer, ...]]]:
        return Sequence, (self.layers,)  # hashes differ from process to process

    def out(self, at: Grid) -> Grid:
        return _through(self, at)

    def parts(self, at: Grid) -> Parts:
        return chain({str(index): layer for index, layer in enumerate(self.layers)}, at)

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from .bound import sequential

        return sequential(children)


@lru_cache(maxsize=4096)
def _through(layers: Sequence, at: Grid) -> Grid:
    """What comes out of the last one; stages come again in other networks."""
    steady = None
    for layer in layers.layers:
        if layer is not steady:
            out = layer.out(at)
            at, steady = out, layer if out == at else None
    return at
