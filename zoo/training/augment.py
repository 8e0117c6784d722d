"""Random changes to training images that lie in memory, and the mixing of a batch's images with their labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import torch
from PIL import Image, ImageOps
from timm.data.auto_augment import (
    AugmentOp,
    augment_and_mix_transform,
    auto_augment_transform,
    rand_augment_transform,
)
from timm.data.mixup import Mixup
from timm.data.random_erasing import RandomErasing
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import TrivialAugmentWide
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from .chance import drawing, uniform

if TYPE_CHECKING:
    from ...compiler.recipe import Recipe
    from .data.inputs import Inputs

TRIVIAL = "ta_wide"
"""TrivialAugment's name in a recipe, as torchvision's training script has it. arXiv:2103.10158."""
P = TypeVar("P")
Place = tuple[int, int, int]
"""Epoch, index, copy: a Key of a data set."""
MOVES = 5
"""Random numbers that move one image."""
PAINT, ERASE = 1, 2
"""Streams of random numbers beside that of the moves."""


def augmented(images: Tensor, keys: Sequence[Place], seed: int, inputs: Inputs, recipe: Recipe) -> Tensor:
    """Images (B, 1 or 3, h, w) between 0 and 1 as a network sees them in training, (B, C, H, W).

    What happens to an image follows from ``seed`` and its key alone.
    """
    x = inputs.resize(images)
    if moves(recipe):
        x = moved(x, recipe, uniform(seed, keys, MOVES))
    if recipe.aa:
        x = torch.stack([painted(image, recipe.aa, (seed, *key, PAINT)) for image, key in zip(x, keys, strict=True)])
    x = inputs.normalise(x)
    if recipe.reprob:
        x = torch.stack([erased(image, recipe, (seed, *key, ERASE)) for image, key in zip(x, keys, strict=True)])
    return x


def moves(recipe: Recipe) -> bool:
    """Whether the recipe turns, shifts, zooms or mirrors images in memory."""
    return bool(recipe.degrees or recipe.translate or recipe.hflip) or recipe.zoom != (1.0, 1.0)


def moved(images: Tensor, recipe: Recipe, chance: Tensor) -> Tensor:
    """Every image turned, shifted, zoomed and mirrored as the recipe allows; the border comes in black.

    ``chance`` (B, 5), between 0 and 1, says how far.
    """
    small, large = recipe.zoom
    angle = _between(chance[:, 0], recipe.degrees * math.pi / 180)
    zoom = 1 / (chance[:, 1] * (large - small) + small)
    mirror = 1 - 2 * (chance[:, 2] < recipe.hflip).float()
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    # shares of the side are half of what they are in grid_sample's coordinates, which run from -1 to 1
    across, down = (_between(chance[:, index], 2 * recipe.translate) for index in (3, 4))
    rows = torch.stack((torch.stack((cos * mirror, -sin, across), 1), torch.stack((sin * mirror, cos, down), 1)), 1)
    grid = F.affine_grid(rows.to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _between(chance: Tensor, most: float) -> Tensor:
    """From -most to most."""
    return (2 * chance - 1) * most


@cache
def policy(name: str) -> Callable[..., object]:
    """RandAugment in timm's notation, or TrivialAugment, for coloured PIL images."""
    if name == TRIVIAL:
        return TrivialAugmentWide()
    makers = {"rand": rand_augment_transform, "augmix": augment_and_mix_transform}
    return drawable(makers.get(name.partition("-")[0], auto_augment_transform)(name, {"img_mean": (0, 0, 0)}))


def drawable(policy: P) -> P:
    """timm's policy with a posterize that can keep no bit, as its scale has it; anything else as it is."""
    for change in changes(policy):
        if change.name.startswith("Posterize"):
            change.aug_fn = posterize
    return policy


def changes(policy: object) -> list[AugmentOp]:
    """The single changes that timm's policy draws from; none for anything else."""
    groups: list[list[AugmentOp]] = getattr(policy, "policy", None) or [getattr(policy, "ops", [])]
    return [change for group in groups for change in group]


def posterize(image: Image.Image, bits: int, fillcolor: object = None, resample: object = None) -> Image.Image:
    """The upper bits of every shade; of none, black, where Pillow 13 raises ValueError. The last two are timm's."""
    if bits < 1:
        return Image.new(image.mode, image.size)
    return ImageOps.posterize(image, min(bits, 8))


def painted(image: Tensor, name: str, place: Sequence[int]) -> Tensor:
    """One image (1 or 3, H, W) through a policy, and back."""
    with drawing(*place):
        picture = policy(name)(to_pil_image(image).convert("RGB"))
    mode = "L" if len(image) == 1 else "RGB"
    return pil_to_tensor(picture.convert(mode)).to(image) / 255  # type: ignore[attr-defined]


def erased(image: Tensor, recipe: Recipe, place: Sequence[int]) -> Tensor:
    """One normalised image (C, H, W) with rectangles overwritten, by chance."""
    with drawing(*place):
        return RandomErasing(recipe.reprob, mode=recipe.remode, max_count=recipe.recount, device="cpu")(image)


@dataclass(frozen=True)
class Mix:
    """Mixup and CutMix of a batch, and label smoothing with them. arXiv:1710.09412, arXiv:1905.04899."""

    mix: Mixup

    @classmethod
    def of(cls, recipe: Recipe, classes: int) -> Mix | None:
        """None for a recipe that mixes nothing."""
        if not recipe.mixes:
            return None
        return cls(
            Mixup(
                recipe.mixup,
                recipe.cutmix,
                prob=recipe.mixup_prob,
                switch_prob=recipe.mixup_switch_prob,
                mode=recipe.mixup_mode,
                label_smoothing=recipe.smoothing,
                num_classes=classes,
            )
        )

    def __call__(self, images: Tensor, labels: Tensor, seed: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) and shares of the classes (B, classes), as ``seed``, two or more numbers, draws them.

        timm pairs up the images of an even batch; in an odd one, the first mixes with itself.
        """
        odd = len(images) % 2
        if odd:
            images, labels = torch.cat((images, images[:1])), torch.cat((labels, labels[:1]))
        with drawing(*seed):
            x, target = self.mix(images.clone(), labels)
        return (x[:-1], target[:-1]) if odd else (x, target)
