"""What happens to a picture in training, by timm's transforms, as the recipe says."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from PIL import Image
from timm.data import create_transform  # type: ignore[attr-defined]
from timm.data.transforms import str_to_interp_mode
from torch import Tensor
from torchvision import transforms

from ....compiler.recipe import Recipe
from ..augment import TRIVIAL, drawable
from .inputs import Inputs, by_channel

Change = Callable[[Image.Image], Image.Image]


@cache
def training(inputs: Inputs, recipe: Recipe) -> Callable[[Image.Image], Tensor]:
    """A picture in RGB to the network's input (C, H, W), changed by chance: from Python's, NumPy's and torch's states.

    In this order: turned and zoomed, cropped, mirrored, painted (``aa`` or ``color_jitter``), normalised, erased.
    """
    shown, painted, _ = _stages(inputs, recipe, 3)
    final = _stages(inputs, recipe, inputs.channels)[2]
    policy = [transforms.TrivialAugmentWide()] if recipe.aa == TRIVIAL else map(drawable, painted.transforms)
    grey = [transforms.Grayscale()] if inputs.channels == 1 else []
    steps = [*_moves(recipe), *_crop(inputs, recipe, shown.transforms[0]), *shown.transforms[1:], *policy, *grey]
    return transforms.Compose([*steps, *final.transforms])


def _stages(inputs: Inputs, recipe: Recipe, channels: int) -> tuple[transforms.Compose, ...]:
    """timm's three: crop and mirror, paint, and normalise and erase."""
    return create_transform(
        (channels, *inputs.size),
        is_training=True,
        separate=True,
        train_crop_mode="rrc" if recipe.train_crop_mode == "pad" else recipe.train_crop_mode,
        scale=recipe.scale,
        ratio=recipe.ratio,
        hflip=recipe.hflip,
        vflip=recipe.vflip,
        color_jitter=recipe.color_jitter or None,  # type: ignore[arg-type]
        auto_augment=None if recipe.aa == TRIVIAL else recipe.aa,
        interpolation=recipe.train_interpolation,
        mean=by_channel(inputs.mean, channels),
        std=by_channel(inputs.std, channels),
        re_prob=recipe.reprob,
        re_mode=recipe.remode,
        re_count=recipe.recount,
    )


def _moves(recipe: Recipe) -> list[Change]:
    """Turn, shift and zoom; the border comes in black."""
    if not (recipe.degrees or recipe.translate or recipe.zoom != (1.0, 1.0)):
        return []
    shift = (recipe.translate, recipe.translate)
    bilinear = transforms.InterpolationMode.BILINEAR
    return [transforms.RandomAffine(recipe.degrees, shift, recipe.zoom, interpolation=bilinear)]


def _crop(inputs: Inputs, recipe: Recipe, usual: Change) -> list[Change]:
    """The recipe's random crop, or the whole picture's centre where it names none."""
    if recipe.train_crop_mode != "pad" and (recipe.scale or recipe.ratio or recipe.train_crop_mode != "rrc"):
        return [usual]
    way = "bilinear" if recipe.train_interpolation == "random" else recipe.train_interpolation
    fit = [transforms.Resize(min(inputs.size), str_to_interp_mode(way)), transforms.CenterCrop(inputs.size)]
    if recipe.train_crop_mode == "pad":
        return [*fit, transforms.RandomCrop(inputs.size, recipe.crop_padding)]
    return fit
