"""What blocks of several families share: layers in a row, and the frame of a depth-wise convolution. "Demystifying
Local Vision Transformer", arXiv:2106.04263, Table 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..grid import Grid
from ..init import Init, TorchDefault, TruncNormal
from ..layer import Layer, Modules, Parts, place
from ..norm import Norm
from ..parts import Act, Conv

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class LinearOrConv:
    """Linear maps start normal with deviation 0.02, cut at two units, and convolutions as torch has them."""

    def weight(self, tensor: Tensor) -> None:
        self._of(tensor).weight(tensor)

    def bias(self, tensor: Tensor, weight: Tensor) -> None:
        self._of(weight).bias(tensor, weight)

    def _of(self, weight: Tensor) -> Init:
        return TruncNormal(0.02) if weight.ndim == 2 else TorchDefault()


@dataclass(frozen=True, slots=True)
class Branch(Layer):
    """Named layers one after another, all of the same shape; an ``nn.Sequential`` when lowered."""

    layers: tuple[tuple[str, Layer], ...]

    def parts(self, at: Grid) -> Parts:
        return dict(self.layers)

    def kept(self, at: Grid) -> int:
        # an activation keeps its output, and a layer that pads its input keeps another copy
        pairs = zip(self.layers, self.layers[1:], strict=False)
        return sum(at.size for (_, a), (_, b) in pairs if isinstance(a, Act) and _pads(b, at))

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from ..bound import sequential

        return sequential(children)


def _pads(layer: Layer, at: Grid) -> bool:
    return any(place(part, at).at.pixels > at.pixels for part in layer.parts(at).values())


def conv_frame(mixer: Layer, norm: Norm, c: int) -> dict[str, Layer]:
    """1x1 convolution, norm, ReLU, the mixer, norm, ReLU, 1x1 convolution, norm."""
    return {
        "pre": Conv(c, c, 1),
        "pre_norm": norm.over(c),
        "pre_act": Act("relu", c),
        "mixer": mixer,
        "norm": norm.over(c),
        "act": Act("relu", c),
        "post": Conv(c, c, 1),
        "post_norm": norm.over(c),
    }


def added(m: Any, x: Tensor, branch: Tensor, scale: Tensor | None) -> Tensor:
    """x + scale * branch, ``scale`` (C,) or one, the branch left out for some images by ``m.drop_path``."""
    if scale is None:
        return x + m.drop_path(branch)
    if m.drop_path.rate == 0:
        return x.addcmul(branch, scale[:, None, None])
    return x + m.drop_path(branch * scale[:, None, None])
