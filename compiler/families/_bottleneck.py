"""The bottleneck block of ResNets and what is placed around it. arXiv:1512.03385, section 4.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..grid import Grid
from ..layer import Layer, Parts, chain
from ..mixer import Mixer
from ..parts import Act, BatchNorm, Conv, DropPath, Pool

if TYPE_CHECKING:
    from torch import Tensor

    from ..bound import Bound


@dataclass(frozen=True, slots=True)
class Chain(Layer):
    """Layers under names, one after another."""

    names: tuple[str, ...]
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, layers: Mapping[str, Layer | None]) -> Chain:
        """The layers that are not None."""
        found = {name: layer for name, layer in layers.items() if layer is not None}
        return cls(tuple(found), tuple(found.values()))

    def out(self, at: Grid) -> Grid:
        for layer in self.layers:
            at = layer.out(at)
        return at

    def parts(self, at: Grid) -> Parts:
        return chain(dict(zip(self.names, self.layers, strict=True)), at)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        for name in self.names:
            x = getattr(m, name)(x)
        return x


def conv_stem(convolutions: tuple[Layer, ...], *, pool: bool) -> Chain:
    """Convolutions (or mixers), each with a batch norm and ReLU, and 3x3 max pooling of stride 2."""
    layers: dict[str, Layer | None] = {}
    c = 0
    for index, layer in enumerate(convolutions, 1):
        c = layer.cout if isinstance(layer, Conv) else c
        layers |= {f"conv{index}": layer, f"bn{index}": BatchNorm(c), f"act{index}": Act("relu", c, over=True)}
    return Chain.of({**layers, "pool": Pool("max", 3, 2) if pool else None})


def shortcut(cin: int, cout: int, stride: int, *, pool: int | None, low_pass: Mixer | None) -> Chain:
    """The 1x1 convolution beside a block that changes the shape. The stride sits in the convolution, in average
    pooling in front of it (a window of ``pool``; 3 pads with zeros), or in a filter behind it.
    """
    step = 1 if pool or low_pass else stride
    return Chain.of(
        {
            "pool": _pool(pool) if pool else None,
            "conv": Conv(cin, cout, 1, step, shared_input=not pool),
            "filter": low_pass,
            "bn": BatchNorm(cout),
        }
    )


def _pool(side: int) -> Pool:
    if side == 2:
        return Pool("avg", 2, 2, padding=0, ceil=True, shared_input=True)
    return Pool("avg", side, 2, zeros=True, shared_input=True)


@dataclass(frozen=True, slots=True)
class Bottleneck(Layer):
    """relu(x + branch(x)); ``beside`` takes the place of x where the shape changes.

    The branch ends in a norm that starts at zero, so that a fresh network is its shortcuts (arXiv:1706.02677, section
    5.1): mixers that multiply predictions with their input would otherwise grow from block to block without bound.
    """

    branch: Chain
    beside: Chain | None
    drop_path: float

    @classmethod
    def of(
        cls,
        channels: tuple[int, int, int],
        mixer: Mixer,
        pre: str,
        *,
        stride: int = 1,
        low_pass: Mixer | None = None,
        beside: Chain | None = None,
        drop_path: float = 0.0,
    ) -> Bottleneck:
        """``channels``: in front, in the middle, behind. ``stride`` is the first convolution's, ``low_pass`` a filter
        behind the mixer; ``pre`` says whether a batch norm and ReLU stand in front of the mixer.
        """
        cin, c, cout = channels
        branch: dict[str, Layer | None] = {
            "conv1": Conv(cin, c, 1, stride),
            "bn1": BatchNorm(c) if "bn" in pre else None,
            "act1": Act("relu", c, over=True) if "relu" in pre else None,
            "mixer": mixer,
            "bn2": BatchNorm(c),
            "act2": Act("relu", c, over=True),
            "filter": low_pass,
            "conv3": Conv(c, cout, 1),
            "bn3": BatchNorm(cout, start=0.0),
        }
        return cls(Chain.of(branch), beside, drop_path)

    def out(self, at: Grid) -> Grid:
        return self.branch.out(at)

    def parts(self, at: Grid) -> Parts:
        end = self.out(at)
        beside = {"shortcut": self.beside} if self.beside else {}
        after = {"drop_path": DropPath(self.drop_path).on(end), "act3": Act("relu", end.c, over=True).on(end)}
        return {**self.branch.parts(at), **beside, **after}

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"add": self.out(at).size}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        y = m.drop_path(self.branch.forward(m, x))
        return m.act3(y.add_(m.shortcut(x) if self.beside else x))
