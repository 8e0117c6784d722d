"""The fastest way to run a model on a CPU when outputs may be rounded: frozen, with weights and maps in bfloat16.

On processors with matrix units for it (AMX) or AVX-512 BF16 two to three times as fast as float32; on others slower.
:func:`drift` says how far its answers are from the model's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .freeze import freeze


class Fast(nn.Module):
    """A frozen model in a low precision. Takes images and gives logits in the dtype of the images."""

    def __init__(self, model: nn.Module, dtype: torch.dtype = torch.bfloat16) -> None:
        super().__init__()
        self.model, self.dtype = freeze(model).to(dtype), dtype

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.model(x.to(self.dtype))
        return y.to(x.dtype)


def fast(model: nn.Module) -> Fast:
    """An inference copy of ``model`` in bfloat16. What sums over many numbers is summed in float32 all the same."""
    return Fast(model)


@dataclass(frozen=True)
class Drift:
    """How far answers are from those they stand for."""

    largest: float
    """The largest deviation of a logit over the largest logit."""
    agree: float
    """The share of images with the same likeliest class."""

    def __str__(self) -> str:
        return f"drift {self.largest:.1e} of the largest logit, {self.agree:.0%} of the answers equal"


def drift(model: nn.Module, other: nn.Module, images: Tensor) -> Drift:
    """What it costs in accuracy to ask ``other`` in place of ``model``, on these images; both in evaluation mode."""
    with torch.inference_mode():
        wanted, given = model(images).double(), other(images).double()
    largest = (given - wanted).abs().max() / wanted.abs().max()
    return Drift(largest.item(), (given.argmax(1) == wanted.argmax(1)).double().mean().item())
