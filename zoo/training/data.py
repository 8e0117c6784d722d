"""The images to learn from, and how they become a network's input.

Embedded are the handwritten digits that scikit-learn carries: 1797 real images of 8 x 8 pixels in 17 shades, light ink
on a dark ground (E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ...compiler.errors import SpecError
from ...compiler.resolve import Network, sides

UNFIT = "MX812"

SplitName = Literal["train", "val", "test"]
HELD_OUT = {"val": 300, "test": 300}
SPLIT_SEED = 0
"""The split is part of the data set, and not of a training's seed."""


@dataclass(frozen=True)
class Split:
    """Images (N, 1, H, W) between 0 and 1, and their classes (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: list[int]) -> Split:
        """Some of the images. Raises SpecError for an index there is not."""
        for index in indices:
            if not 0 <= index < len(self):
                raise SpecError.of(UNFIT, f"there is no image {index}", f"0 to {len(self) - 1}")
        return Split(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Data:
    """A data set: its splits, its classes, and the mean and spread of its training pixels."""

    name: str
    classes: tuple[str, ...]
    splits: Mapping[SplitName, Split] = field(repr=False)
    mean: float
    std: float

    def facts(self) -> dict[str, Any]:
        """What a weights file should say of the data."""
        return {"name": self.name, "classes": list(self.classes), "mean": self.mean, "std": self.std}


def digits() -> Data:
    """Handwritten digits: 1197 images to train on, 300 to choose by and 300 to test on, the classes in equal shares."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    rest = torch.arange(len(labels)).numpy()
    parts = {}
    for name in ("test", "val"):
        rest, parts[name] = train_test_split(
            rest, test_size=HELD_OUT[name], random_state=SPLIT_SEED, stratify=labels[rest]
        )
    images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    classes = torch.tensor(labels)
    splits: dict[SplitName, Split] = {
        "train": Split(images[rest], classes[rest]),
        "val": Split(images[parts["val"]], classes[parts["val"]]),
        "test": Split(images[parts["test"]], classes[parts["test"]]),
    }
    seen = splits["train"].images
    mean, std = (round(float(value), 4) for value in (seen.mean(), seen.std()))
    return Data("digits", tuple(map(str, range(10))), splits, mean, std)


SETS: Mapping[str, Callable[[], Data]] = {"digits": cache(digits)}


@dataclass(frozen=True)
class Inputs:
    """How images (B, 1, h, w) between 0 and 1 become a network's input (B, C, H, W)."""

    size: tuple[int, int]
    channels: int
    mean: float
    std: float

    @classmethod
    def of(cls, network: Network, facts: Mapping[str, Any]) -> Inputs:
        """For a network and what is known of its data. Raises SpecError for images with other than 1 or 3 channels."""
        channels = network.family.in_chans
        if channels not in (1, 3):
            raise SpecError.of(UNFIT, f"{network.name} reads {channels} channels", "images have 1 or 3: in_chans: 1")
        return cls(sides(network.about.image), channels, float(facts["mean"]), float(facts["std"]))

    def resize(self, images: Tensor) -> Tensor:
        """Bilinear to the network's size; smaller images are enlarged, larger ones are low-pass filtered."""
        if images.shape[-2:] == self.size:
            return images
        return F.interpolate(images, self.size, mode="bilinear", align_corners=False, antialias=True)

    def normalise(self, images: Tensor) -> Tensor:
        """Zero mean and unit spread, repeated over the channels."""
        return ((images - self.mean) / self.std).repeat(1, self.channels, 1, 1)

    def __call__(self, images: Tensor) -> Tensor:
        return self.normalise(self.resize(images))
