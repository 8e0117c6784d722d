"""Random changes to a batch of training images and to its labels, drawn from the generators that ``set_seed`` sets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from timm.data.auto_augment import RandAugment, rand_augment_transform
from timm.data.mixup import Mixup
from timm.data.random_erasing import RandomErasing
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from .data import Inputs
from .recipe import Recipe


@dataclass(frozen=True)
class Augment:
    """A batch (B, 1, h, w) with labels (B,) as a network sees it in training: input (B, C, H, W) and targets.

    Targets are classes (B,), or shares of the classes (B, classes) where images are mixed.
    """

    inputs: Inputs
    recipe: Recipe
    rand: RandAugment | None
    erase: RandomErasing | None
    mix: Mixup | None

    @classmethod
    def of(cls, recipe: Recipe, inputs: Inputs, classes: int) -> Augment:
        rand = rand_augment_transform(recipe.aa, {"img_mean": (0, 0, 0)}) if recipe.aa else None
        erase = RandomErasing(recipe.reprob, mode="const", device="cpu") if recipe.reprob else None
        mix = Mixup(recipe.mixup, recipe.cutmix, label_smoothing=recipe.smoothing, num_classes=classes)
        return cls(inputs, recipe, rand, erase, mix if recipe.mixes else None)

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        x = moved(self.inputs.resize(images), self.recipe)
        if self.rand:
            x = torch.stack([_painted(image, self.rand) for image in x])
        x = self.inputs.normalise(x)
        if self.erase:
            x = self.erase(x)
        return self.mix(x, labels) if self.mix else (x, labels)


def moved(images: Tensor, recipe: Recipe) -> Tensor:
    """Every image turned, shifted, zoomed and mirrored by chance, as the recipe allows; the border comes in black."""
    small, large = recipe.scale
    if not (recipe.degrees or recipe.translate or recipe.hflip or (small, large) != (1.0, 1.0)):
        return images
    count = len(images)

    def drawn(low: float, high: float) -> Tensor:
        return torch.rand(count) * (high - low) + low

    angle = drawn(-recipe.degrees, recipe.degrees) * (math.pi / 180)
    zoom = 1 / drawn(small, large)
    mirror = 1 - 2 * (torch.rand(count) < recipe.hflip).float()
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    # shares of the side are half of what they are in grid_sample's coordinates, which run from -1 to 1
    across, down = (drawn(-2 * recipe.translate, 2 * recipe.translate) for _ in range(2))
    rows = torch.stack((torch.stack((cos * mirror, -sin, across), 1), torch.stack((sin * mirror, cos, down), 1)), 1)
    grid = F.affine_grid(rows.to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _painted(image: Tensor, change: Callable[..., object]) -> Tensor:
    """One image (1, H, W) through a transform for coloured PIL images, and back."""
    picture = change(to_pil_image(image).convert("RGB"))
    return pil_to_tensor(picture.convert("L")).to(image) / 255  # type: ignore[attr-defined]
