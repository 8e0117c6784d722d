"""What a tree costs: one recursion over the answers of its layers. Exact, and without torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from .checkpointing import Every, recomputes
from .grid import Cost, Grid
from .layer import Layer, place
from .parts import Leaf
from .resolve import Network

BYTES = 4
"""Bytes of a float32."""


@lru_cache(maxsize=8192)
def cost(layer: Layer, at: Grid) -> Cost:
    """The layer with all its parts, for one image."""
    spent = [_own(layer, at)]
    before = None
    for part in layer.parts(at).values():
        stands = place(part, at)
        if stands != before:
            inner, here = stands.layer, stands.at
            one = _own(inner, here) if isinstance(inner, Leaf) else cost(inner, here).numbers
        spent.append(one)
        before = stands
    return Cost(*map(sum, zip(*spent, strict=True)))


def own(layer: Layer, at: Grid) -> Cost:
    """The layer without its parts."""
    return Cost(*_own(layer, at))


def _own(layer: Layer, at: Grid) -> tuple[int, int, int, int, int]:
    """The same as numbers in the order of Cost's fields: sums of them are many, and made much faster than of Costs."""
    return layer.params(), layer.params_trainable(), layer.macs(at), layer.fft_flops(at), BYTES * layer.kept(at)


@dataclass(frozen=True, slots=True)
class Row:
    """A layer of the tree with its place and cost. ``depth`` counts the layers above it."""

    path: str
    layer: Layer
    at: Grid
    cost: Cost
    depth: int


def rows(layer: Layer, at: Grid, path: str = "", depth: int = 0, *, most: int | None = None) -> Iterator[Row]:
    """Every layer with its cost, owners first, at most ``most`` levels down."""
    yield Row(path, layer, at, cost(layer, at), depth)
    if most is not None and depth >= most:
        return
    for name, part in layer.parts(at).items():
        stands = place(part, at)
        yield from rows(stands.layer, stands.at, f"{path}.{name}" if path else name, depth + 1, most=most)


def count(network: Network, image: int | tuple[int, int] | None = None, *, checkpoint: Every | None = None) -> Cost:
    """The whole network for one image of that side, or (height, width); its own size if None."""
    return recounted(network.family, network.grid(image), checkpoint)


def recounted(layer: Layer, at: Grid, checkpoint: Every | None) -> Cost:
    """The cost with the activation bytes of a training that computes every block or every mixer again: what is kept,
    and the largest inside, which is there while it is its turn.
    """
    total = cost(layer, at)
    return replace(total, activation_bytes=sum(recomputing(layer, at, checkpoint))) if checkpoint else total


def recomputing(layer: Layer, at: Grid, every: Every, path: str = "") -> tuple[int, int]:
    """Bytes kept for one image where only the inputs of blocks, or of mixers, are, and those of the largest inside."""
    if recomputes(layer, path, every):
        return BYTES * at.size, cost(layer, at).activation_bytes
    kept, inside = BYTES * layer.kept(at), 0
    for name, part in layer.parts(at).items():
        stands = place(part, at)
        more, largest = recomputing(stands.layer, stands.at, every, f"{path}.{name}" if path else name)
        kept, inside = kept + more, max(inside, largest)
    return kept, inside
