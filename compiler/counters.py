"""What other tools would print for a tree: price lists for the work that is not a multiply-add.

Papers count with different tools. A counter starts from the exact multiply-adds and adds what its tool adds, so that a
printed figure can be compared to the digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

from .cost import cost
from .grid import Grid
from .layer import Layer, Sequence, place
from .parts import Act, BatchNorm, Conv, GlobalPool, LayerNorm, Linear, Pool
from .resolve import Network

Price = Callable[[str, Layer, Grid], int]
"""Extra work of one layer of the tree, by its path and grid, without its parts."""


def _macs(path: str, layer: Layer, at: Grid) -> int:
    """Multiply-adds of convolutions, linear maps, matrix products and aggregations; nothing else."""
    return 0


def _fvcore(path: str, layer: Layer, at: Grid) -> int:
    """LayerNorm 5 per element, save where the released MetaFormer writes it in elementary operations."""
    written_out = ".stem." in f".{path}" or ".downsample." in path
    return 5 * at.pixels * layer.c if isinstance(layer, LayerNorm) and not written_out else 0


def _ptflops_san(path: str, layer: Layer, at: Grid) -> int:
    """Bias of a convolution 1 per output, BatchNorm 2 and ReLU 1 per element, pooling 1 per input."""
    if isinstance(layer, Conv):
        return layer.out(at).size * layer.bias
    if isinstance(layer, BatchNorm):
        return 2 * at.pixels * layer.c
    if isinstance(layer, Act):
        return at.pixels * layer.c * (layer.kind == "relu")
    return at.size if isinstance(layer, Pool | GlobalPool) else 0


def _elementwise(path: str, layer: Layer, at: Grid) -> int:
    """BatchNorm 2 and LayerNorm 5 per element; bias, residual, mask, table, ReLU, GELU, sigmoid and softmax 1 each.

    Weighted sums in an operator of their own are left out: the tool cannot see them.
    """
    if isinstance(layer, Conv | Linear):
        return layer.out(at).size * layer.bias
    if isinstance(layer, BatchNorm | LayerNorm):
        return (2 if isinstance(layer, BatchNorm) else 5) * at.pixels * layer.c
    if isinstance(layer, Act):
        return at.pixels * layer.c * (layer.kind in ("relu", "gelu", "sigmoid"))
    return sum(_ELEMENTWISE.get(kind, 0) * elements for kind, elements in layer.tally(at).items())


_ELEMENTWISE = dict.fromkeys(("add", "softmax", "mask", "table", "bias", "activation"), 1)
_ELEMENTWISE |= {"batchnorm": 2, "layernorm": 5, "aggregation": -1}


PRICES: Mapping[str, Price] = {
    "macs": _macs,
    "fvcore": _fvcore,
    "ptflops-san": _ptflops_san,
    "elementwise": _elementwise,
}


def counted(network: Network, counter: str, image: int | tuple[int, int] | None = None) -> int:
    """What ``counter`` would print for one image, in its own unit; its own size if ``image`` is None."""
    at = network.grid(image)
    return cost(network.family, at).macs + (_extra(counter, network.family, at, "") if counter != "macs" else 0)


def _extra(counter: str, layer: Layer, at: Grid, path: str) -> int:
    """What the counter adds for a layer and its parts."""
    total = PRICES[counter](path, layer, at)
    repeats = isinstance(layer, Sequence) and not path.startswith("stem")
    for name, part in layer.parts(at).items():
        stands = place(part, at)
        inner = f"{path}.{name}" if path else name
        again = _extra_again if repeats or inner == "stages" else _extra
        total += again(counter, stands.layer, stands.at, "stages.n" if repeats else inner)
    return total


_extra_again = lru_cache(maxsize=4096)(_extra)
"""For all stages together, each, and blocks, which come again; which of them it is makes no difference to any price."""
