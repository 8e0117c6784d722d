"""The connection matrix of a mixer: which inputs every output is a weighted sum of, and with which weights."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ..grid import Grid
from ..layer import Layer
from ..layout import plain
from ..lower import lower_layer
from ..modules import ACTIVATIONS
from .held import Choices, Held

AT_ONCE = 128
"""Images in one run."""
EXACT = 1e-9
"""Relative difference up to which two weights are equal; transforms and sums in another order leave 1e-14."""


def redrawn(layer: Layer, at: Grid, seed: int) -> nn.Module:
    """The layer in float64 and evaluation mode with random parameters: the usual start hides what they are for (tables
    of zeros, weights near zero). Activations of our own become softplus.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = lower_layer(layer, at, dtype=torch.float64).eval()
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.data.normal_(std=parameter[0].numel() ** -0.5)  # large logits would make attention sparse
    for name, part in list(module.named_modules()):
        if name and type(part) in ACTIVATIONS.values():
            module.set_submodule(name, nn.Softplus())
    return module.requires_grad_(False)


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """The connection matrix of a module on a grid, for any image.

    ``pointwise``: with its linear maps of channels; else each of their outputs stands for one of their inputs.
    """

    module: nn.Module
    at: Grid
    out: Grid
    pointwise: bool = False
    choices: Choices = field(default_factory=Choices)

    @classmethod
    def of(cls, layer: Layer, at: Grid, seed: int) -> Matrix:
        """That of a layer with random parameters."""
        return cls(redrawn(layer, at, seed), at, layer.out(at))

    def exact(self) -> Matrix:
        """The same with all linear maps of channels."""
        return Matrix(self.module, self.at, self.out, pointwise=True)

    def pulled(self, images: Tensor, outputs: Tensor) -> Tensor:
        """Sums of rows, (n, C, H, W): those of image i weighted by outputs[i], (n, C', H', W')."""
        images = images.expand(len(outputs), -1, -1, -1)
        pairs = zip(images.split(AT_ONCE), outputs.split(AT_ONCE), strict=True)
        return torch.cat([self._pulled(some, weights) for some, weights in pairs])

    def _pulled(self, images: Tensor, outputs: Tensor) -> Tensor:
        x = images.clone().requires_grad_()
        with torch.enable_grad(), plain(), Held(x, self.choices, pointwise=self.pointwise):
            y = self.module(x)
        (gradient,) = torch.autograd.grad(y, x, outputs, allow_unused=True)
        return torch.zeros_like(x) if gradient is None else gradient.detach()

    def channels(self, image: Tensor) -> Tensor:
        """Which input channels each output channel sees anywhere, (C', C)."""
        pattern = torch.randn(self.out.h, self.out.w, generator=_generator(), dtype=image.dtype)
        every = torch.eye(self.out.c, dtype=image.dtype)[:, :, None, None] * pattern
        self.pulled(image, every[:1])  # choices are made on one image
        return _nonzero(self.pulled(image, every).abs().amax((2, 3)))

    def kernels(self, image: Tensor, links: Tensor) -> Tensor:
        """Weights (n, positions of the output, positions of the input), one matrix for every pair of linked channels,
        or with many pairs for those of the first and the last output.
        """
        rows = torch.eye(self.out.pixels, dtype=image.dtype).unflatten(1, (1, self.out.h, self.out.w))
        if separate(links):
            weights = self.pulled(image, rows.expand(-1, self.out.c, -1, -1)).flatten(2).transpose(0, 1)
            return weights[links.any(0)]
        found = []
        for channel in (0, self.out.c - 1):
            only = torch.eye(self.out.c, dtype=image.dtype)[channel, :, None, None]
            found.append(self.pulled(image, rows * only).flatten(2).transpose(0, 1)[links[channel]])
        return torch.cat(found)

    def row(self, images: Tensor, links: Tensor, position: int) -> Tensor:
        """The weights of one output position for many images, (images, positions of the input), for the first kernel
        of ``kernels``.
        """
        output = int(links.any(1).nonzero()[0])
        weighted = images.new_zeros(len(images), self.out.c, self.out.pixels)
        weighted[:, output, position] = 1
        pulled = self.pulled(images, weighted.unflatten(2, (self.out.h, self.out.w)))
        return pulled[:, int(links[output].nonzero()[0])].flatten(1)


def separate(links: Tensor) -> bool:
    """Whether no output channel sees two input channels."""
    return bool((links.sum(1) <= 1).all())


def _nonzero(weights: Tensor) -> Tensor:
    return weights.abs() > 1e-12 * weights.abs().max()


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
