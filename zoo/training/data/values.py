"""A data set as a value: named classes, and splits that hold their images or know where they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import Tensor

from ....compiler.errors import SpecError
from ..augment import augmented
from .batch import Batch, Key
from .inputs import UNFIT, Inputs, Shade

if TYPE_CHECKING:
    from ....compiler.recipe import Recipe

SplitName = Literal["train", "val", "test"]


class Samples(Protocol):
    """Prepared images by key, for a ``DataLoader`` with a batch sampler that yields lists of keys."""

    def __len__(self) -> int: ...

    def __getitems__(self, keys: Sequence[Key]) -> Batch: ...


class AnySplit(Protocol):
    """Some images with their classes, numbered from 0."""

    def __len__(self) -> int: ...

    def samples(self, inputs: Inputs, recipe: Recipe | None = None, seed: int = 0) -> Samples:
        """As a network reads them: augmented as the recipe says, or plain for evaluation."""

    def digest(self) -> str:
        """Tells splits apart: a hash of which images there are, in which order, and of their classes."""


@dataclass(frozen=True)
class Split:
    """Images (N, 1, H, W) or (N, 3, H, W) between 0 and 1, all in memory, and their classes (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Sequence[int]) -> Split:
        """Some of the images. Raises SpecError for an index there is not."""
        for index in indices:
            if not 0 <= index < len(self):
                raise SpecError.of(UNFIT, f"there is no image {index}", f"0 to {len(self) - 1}")
        return Split(self.images[list(indices)], self.labels[list(indices)])

    def samples(self, inputs: Inputs, recipe: Recipe | None = None, seed: int = 0) -> TensorSamples:
        return TensorSamples(self, inputs, recipe, seed)

    def digest(self) -> str:
        found = hashlib.sha256(str(tuple(self.images.shape)).encode())
        for tensor in (self.images, self.labels):
            found.update(tensor.contiguous().numpy().tobytes())
        return found.hexdigest()


@dataclass(frozen=True)
class TensorSamples:
    """The images of a :class:`Split` as a network reads them, a batch at once."""

    split: Split
    inputs: Inputs
    recipe: Recipe | None
    seed: int

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        indices = torch.tensor([key.index for key in keys], dtype=torch.long)
        images, labels = self.split.images[indices], self.split.labels[indices]
        if self.recipe is None:
            return Batch(self.inputs(images), labels, indices)
        return Batch(augmented(images, keys, self.seed, self.inputs, self.recipe), labels, indices)


@dataclass(frozen=True)
class Data:
    """A data set: its splits, its classes, and the mean and spread of its training pixels, by channel or over all."""

    name: str
    classes: tuple[str, ...]
    splits: Mapping[SplitName, Split] = field(repr=False)
    mean: Shade
    std: Shade

    def facts(self) -> dict[str, Any]:
        """What a weights file should say of the data."""
        mean, std = (list(value) if isinstance(value, tuple) else value for value in (self.mean, self.std))
        return {"name": self.name, "classes": list(self.classes), "mean": mean, "std": std}
