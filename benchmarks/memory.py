"""What networks keep for backward, and need for a training step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from unittest.mock import patch

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional as F

from mixspec.compiler.ops import aggregate
from mixspec.zoo.load import build

from ._measure import Figure, peak
from ._pairs import NETWORKS, images, pair
from .train import step

PAPER = "resnet50d_cadasp_b32-256_ch2"
"""The network that ran out of memory in arXiv:2210.17141, section 5.1.1."""


def kept(model: nn.Module, x: Tensor) -> Callable[[], float]:
    """A side that returns the bytes autograd holds after a forward pass, weights left out: every storage once."""

    def side() -> float:
        own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
        found: dict[int, Tensor] = {}
        with saved_tensors_hooks(lambda t: found.setdefault(t.untyped_storage().data_ptr(), t), lambda t: t):
            y = model(x)
        total = sum(tensor.untyped_storage().nbytes() for at, tensor in found.items() if at not in own)
        del y
        return total

    return side


def unfolded(
    x: Tensor, alpha: Tensor, bank: Tensor, position: Tensor | None, *, kernel: int, stride: int = 1
) -> Tensor:
    """The aggregation as users write it: the map, the unfolded input, their product, its sum. Shared coefficients."""
    maps = F.conv2d(alpha, bank, position).unflatten(1, (-1, 1, kernel**2))
    seen = F.unfold(x, kernel, padding=kernel // 2, stride=stride)
    seen = seen.view(len(x), maps.shape[1], -1, kernel**2, *maps.shape[-2:])
    return (maps * seen).sum(3).flatten(1, 2)


def by_unfold(model: nn.Module, x: Tensor) -> Callable[[], float]:
    """The same with the aggregation as users write it."""
    side = kept(model, x)

    def patched() -> float:
        with patch.object(aggregate, "aggregate_decomposed", unfolded):
            return side()

    return patched


def one_step(name: str, checkpoint: bool) -> Callable[[], object]:
    """A training step of one image, for `peak`."""
    model = build(name)
    model.set_grad_checkpointing(checkpoint)
    return step(model, images(1))


def figures(quick: bool) -> Iterator[Figure]:
    """Bytes for one image of 224 pixels. Kept: what autograd holds between forward and backward, as saved-tensor hooks
    see it. Step: by how much a training step outgrows the model, in a fresh process."""
    x = images(1)
    model = build(PAPER)
    yield Figure(f"{PAPER}, kept", kept(model, x), "unfold", by_unfold(model, x), goal=100 / 474, unit="B")
    for name in list(NETWORKS)[: 1 if quick else None]:
        ours, theirs = pair(name)
        yield Figure(f"{name}, kept", kept(ours, x), "timm", kept(theirs, x), unit="B")
    for name in ("resnet50d", "swin_t")[: 0 if quick else None]:
        again, whole = (peak(one_step, name, checkpoint) for checkpoint in (True, False))
        yield Figure(f"{name}, step, blocks computed again", again, "all kept", whole, unit="B")
