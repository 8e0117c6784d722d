"""A data set as a value: named classes, and splits that hold their images or know where they are."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor

from ....compiler.errors import SpecError
from .batch import Batch, Key
from .inputs import UNFIT, Inputs, Shade

if TYPE_CHECKING:
    from ....compiler.recipe import Recipe

SplitName = Literal["train", "val", "test"]


class Samples(Protocol):
    """Prepared images by key, for a ``DataLoader`` with a batch sampler that yields lists of keys.

    ``streamed`` ones have a method ``keys`` that says in which order they come.
    """

    streamed: ClassVar[bool]

    def __len__(self) -> int: ...

    def __getitems__(self, keys: Sequence[Key]) -> Batch: ...


class AnySplit(Protocol):
    """Some images with their classes, numbered from 0."""

    def __len__(self) -> int: ...

    def samples(self, inputs: Inputs, recipe: Recipe | None = None, seed: int = 0) -> Samples:
        """As a network reads them: augmented as the recipe says, or plain for evaluation."""

    def digest(self) -> str:
        """Tells splits apart: a hash of which images there are, in which order, and of their classes."""


class Drawable(ABC):
    """A split whose images of some numbers come as one tensor."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Images (B, 1, H, W) or (B, 3, H, W) between 0 and 1, and their classes (B,)."""

    @abstractmethod
    def digest(self) -> str: ...

    def samples(self, inputs: Inputs, recipe: Recipe | None = None, seed: int = 0) -> TensorSamples:
        return TensorSamples(self, inputs, recipe, seed)


@dataclass(frozen=True)
class Split(Drawable):
    """Images (N, 1, H, W) or (N, 3, H, W) between 0 and 1, all in memory, and their classes (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        chosen = torch.tensor(indices, dtype=torch.long)
        return self.images[chosen], self.labels[chosen]

    def take(self, indices: Sequence[int]) -> Split:
        """Some of the images. Raises SpecError for an index there is not."""
        for index in indices:
            if not 0 <= index < len(self):
                raise SpecError.of(UNFIT, f"there is no image {index}", f"0 to {len(self) - 1}")
        return Split(*self.read(indices))

    def digest(self) -> str:
        found = hashlib.sha256(str(tuple(self.images.shape)).encode())
        for tensor in (self.images, self.labels):
            found.update(tensor.contiguous().numpy().tobytes())
        return found.hexdigest()


@dataclass(frozen=True)
class TensorSamples:
    """The images of a split as a network reads them, a batch at once."""

    streamed: ClassVar[bool] = False
    split: Drawable
    inputs: Inputs
    recipe: Recipe | None
    seed: int

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        indices = [key.index for key in keys]
        images, labels = self.split.read(indices)
        if self.recipe is None:
            return Batch(self.inputs(images), labels, torch.tensor(indices))
        from ..augment import augmented  # timm comes with it, which nobody needs who only evaluates

        return Batch(augmented(images, keys, self.seed, self.inputs, self.recipe), labels, torch.tensor(indices))


@dataclass(frozen=True)
class Data:
    """A data set: its splits, its classes, and the mean and spread of its training pixels.

    These are one number for grey images in memory, and three for pictures, which are read as RGB.
    """

    name: str
    classes: tuple[str, ...]
    splits: Mapping[SplitName, AnySplit] = field(repr=False)
    mean: Shade
    std: Shade

    def facts(self) -> dict[str, Any]:
        """What a weights file should say of the data."""
        mean, std = (list(value) if isinstance(value, tuple) else value for value in (self.mean, self.std))
        return {"name": self.name, "classes": list(self.classes), "mean": mean, "std": std}

    def fingerprint(self) -> dict[str, Any]:
        """Tells data sets apart, for the record of a training: every split's number of images and digest."""
        splits = {name: {"images": len(split), "digest": split.digest()} for name, split in self.splits.items()}
        return {"name": self.name, "classes": len(self.classes), "splits": splits}

    def samples(self, name: SplitName, inputs: Inputs, recipe: Recipe | None = None, seed: int = 0) -> Samples:
        """The images of a split as a network reads them: augmented as the recipe says, or plain for evaluation."""
        return self.split(name).samples(inputs, recipe, seed)

    def split(self, name: SplitName) -> AnySplit:
        """Raises SpecError for a split the set has not."""
        if name not in self.splits:
            raise SpecError.of(UNFIT, f"{self.name} has no split {name!r}", f"it has {', '.join(self.splits)}")
        return self.splits[name]
