"""Weights of one image size for the same network at another: what has a size is interpolated.

Position embeddings of HyenaPixel's filters, arXiv:2402.19305; bias tables and depth-wise kernels of windows that grow
from 7 to 12, arXiv:2106.04263, Table 5, as arXiv:2103.14030 does it; learnt weights of positions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..compiler.backbone import Backbone
from ..compiler.layer import Layer, walk
from ..compiler.lower import lower
from ..compiler.mixer import Mixer
from ..compiler.mixers._filters import centre_distance
from ..compiler.mixers._sequence import SequenceMixer
from ..compiler.mixers.convwindow import ConvWindow
from ..compiler.mixers.hpx import Hpx
from ..compiler.mixers.staticwindow import StaticWindow
from ..compiler.mixers.window import Window
from ..compiler.parts import Buffer, Conv, Leaf, Weight
from ..compiler.resolve import Network
from .weights import WRONG_TENSORS, Header, WeightsError, read

Reach = Literal["coverage", "official"]
"""What becomes of the window on HyenaPixel's filters: it covers the same share of the map, or half of that, as in the
released code, which doubles all distances.
"""

SIZES = frozenset({"image", "kernel", "window", "windows", "length", "height", "width", "position_grid"})
"""Keys of a canonical form that may differ."""


@dataclass(frozen=True)
class Place:
    """Where a tensor belongs in the new network: its layer, and the token mixer around it."""

    leaf: Leaf
    mixer: Mixer | None
    name: str
    """Its path inside the mixer, or in the whole where there is none."""


def filled(held: Header, file: Path, network: Network, reach: Reach, device: torch.device | str = "cpu") -> Backbone:
    """``network`` with the weights of a file whose header has been read, in evaluation mode.

    Raises WeightsError where file and network differ in more than sizes, and for weights without a size rule.
    """
    if differing := differences(held.network, network):
        what = f"{file} holds another network than {network.name}"
        raise WeightsError.of(WRONG_TENSORS, what, f"{held.network.name}; they differ in {', '.join(differing)}")
    model = lower(network, device="meta")
    model.load_state_dict(resample(read(file), network, reach), strict=True, assign=True)
    return model.to(device).eval()


def differences(one: Network, other: Network) -> list[str]:
    """Keys of the canonical forms in which two networks differ other than in sizes."""
    ours, theirs = unsized(one.canonical()), unsized(other.canonical())
    return [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]


def resample(state: dict[str, Tensor], network: Network, reach: Reach = "coverage") -> dict[str, Tensor]:
    """The tensors, by name, with the shapes that ``network`` wants; those that have them stay as they are.

    Raises WeightsError naming those that cannot be interpolated.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in lower(network, device="meta").state_dict().items()}
    places = places_of(network)
    found: dict[str, Tensor] = {}
    failed: list[str] = []
    for name, tensor in state.items():
        shape = wanted.get(name)
        if shape is None or shape == tuple(tensor.shape):
            found[name] = tensor
        elif (way := rule(places.get(name), tuple(tensor.shape), shape, reach)) is not None:
            found[name] = way(tensor, shape).to(tensor.dtype).contiguous()
        else:
            failed.append(f"{name} {tuple(tensor.shape)} to {shape}")
    if failed:
        what = f"{len(failed)} weights cannot be resampled for {network.name}: {failed[0]}"
        raise WeightsError.of(WRONG_TENSORS, what, "kernels of one channel, bias tables and embeddings can")
    return found


def bicubic(tensor: Tensor, size: tuple[int, int], *, antialias: bool = False) -> Tensor:
    """The last two axes interpolated to ``size``, the others as they are."""
    if tuple(tensor.shape[-2:]) == size:
        return tensor
    flat = tensor.double().reshape(1, -1, *tensor.shape[-2:])
    resized = F.interpolate(flat, size, mode="bicubic", align_corners=False, antialias=antialias)
    return resized.reshape(*tensor.shape[:-2], *size)


def table(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Biases by offset, ((2 w - 1)^2, heads), for another window."""
    before, after = math.isqrt(tensor.shape[0]), math.isqrt(shape[0])
    grid = tensor.T.reshape(-1, before, before)
    return bicubic(grid, (after, after)).reshape(-1, after * after).T


def along_taps(tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Embeddings of taps, (T, E), for another length, ends to ends: so lie the times that are made anew."""
    # no antialiasing: torch forgets align_corners then, and embeddings are smooth
    row = tensor.double().T[None, :, None]
    return F.interpolate(row, (1, shape[0]), mode="bicubic", align_corners=True)[0, :, 0].T


def distances(old: Tensor, shape: tuple[int, ...], reach: Reach) -> Tensor:
    """Distances of taps to the centre, (1, 1, K, K), for another K.

    ``official``: in taps, times 2 K / K'. ``coverage``: times K / K', so that the window ends where it ended.
    """
    before, after = old.shape[-1], shape[-1]
    spacing = 2.0 if reach == "official" else _spacing(old)
    return centre_distance(*shape).double() * (spacing * before / after)


def _spacing(distance: Tensor) -> float:
    """Distance between neighbouring taps: one, unless the filter was resampled before."""
    middle = distance.shape[-1] // 2
    return float(distance[0, 0, middle, -1] - distance[0, 0, middle, middle]) / max(distance.shape[-1] - 1 - middle, 1)


Rule = Callable[[Tensor, tuple[int, ...]], Tensor]


def rule(place: Place | None, old: tuple[int, ...], new: tuple[int, ...], reach: Reach) -> Rule | None:
    """How a tensor gets its new shape; None where nobody says."""
    if place is None:
        return None
    mixer, name, leaf = place.mixer, place.name, place.leaf
    if isinstance(mixer, StaticWindow):
        return None  # its last two axes are positions of a window, each of which stands for two
    if isinstance(mixer, Hpx) and name == "filter.distance":
        return lambda tensor, shape: distances(tensor, shape, reach)
    if isinstance(mixer, SequenceMixer) and name == "positions":
        return along_taps
    if isinstance(mixer, SequenceMixer) and isinstance(leaf, Buffer):
        return lambda tensor, shape: _made_anew(leaf, shape)
    if isinstance(mixer, Window | ConvWindow) and len(new) == 2 and old[1:] == new[1:]:
        return table
    if old[:-2] != new[:-2] or len(new) < 3:
        return None
    if isinstance(leaf, Conv):
        return (lambda tensor, shape: bicubic(tensor, _plane(shape))) if leaf.groups == leaf.cin else None
    if isinstance(leaf, Weight):
        positions = (isinstance(mixer, Hpx) and name == "positions") or mixer is None
        return lambda tensor, shape: bicubic(tensor, _plane(shape), antialias=positions)
    return None


def _made_anew(leaf: Buffer, shape: tuple[int, ...]) -> Tensor:
    fresh = torch.empty(shape)
    leaf.init.weight(fresh)
    return fresh


def _plane(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[-2], shape[-1]


def places_of(network: Network) -> dict[str, Place]:
    """The layer behind every name of the state dict; none in a network that is no tree of layers."""
    found = dict(_leaves(network.family, network))
    names = lower(network, device="meta").state_dict()
    leaves = {name: found.get(name) or found.get(name.rpartition(".")[0]) for name in names}
    return {name: place for name, place in leaves.items() if place is not None}


def _leaves(family: Layer, network: Network) -> Iterator[tuple[str, Place]]:
    around: list[tuple[str, Mixer]] = []
    for path, layer, _ in walk(family, network.at):
        around = [(owner, mixer) for owner, mixer in around if path.startswith(f"{owner}.")]
        if isinstance(layer, Mixer):
            around.append((path, layer))
        elif isinstance(layer, Leaf):
            owner, mixer = around[-1] if around else ("", None)
            yield path, Place(layer, mixer, path.removeprefix(f"{owner}."))


def unsized(value: Any) -> Any:
    """A canonical form, or part of one, without sizes."""
    if isinstance(value, dict):
        return {key: unsized(item) for key, item in value.items() if key not in SIZES}
    return [unsized(item) for item in value] if isinstance(value, list | tuple) else value
