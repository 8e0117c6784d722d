"""Splits whose images are decoded when they are asked for: files, members of archives, rows of tables."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, BinaryIO, ClassVar, NamedTuple, Protocol

import torch
from PIL import Image
from torch import Tensor

from ....compiler.recipe import Recipe
from ..chance import drawing
from .batch import Bad, Batch, Key
from .decode import BadImage, coloured, decode, reason
from .inputs import Inputs

UNREADABLE = (OSError, AssertionError, TypeError, LookupError, ValueError)
"""What timm's readers raise for an image they cannot hand over."""


class Pictures(Protocol):
    """Images by number, as timm's readers give them: an open file or a picture, and the class."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[BinaryIO | Image.Image, Any]: ...

    def filename(self, index: int) -> str: ...

    def stamp(self, index: int) -> object:
        """What changes with an image and is known without reading it, such as its size in bytes."""


@dataclass(frozen=True)
class Chosen:
    """Some of the images of another source, by their numbers there."""

    pictures: Pictures
    indices: Sequence[int]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[BinaryIO | Image.Image, Any]:
        return self.pictures[self.indices[index]]

    def filename(self, index: int) -> str:
        return self.pictures.filename(self.indices[index])

    def stamp(self, index: int) -> object:
        return self.pictures.stamp(self.indices[index])


@dataclass(frozen=True)
class Files:
    """A split of pictures of so many classes."""

    pictures: Pictures = field(repr=False)
    classes: int

    def __len__(self) -> int:
        return len(self.pictures)

    def samples(self, inputs: Inputs, recipe: Recipe | None = None, seed: int = 0) -> FileSamples:
        return FileSamples(self, inputs, recipe, seed)

    def digest(self) -> str:
        """Of the names in their order, and their stamps; no image is read."""
        found = hashlib.sha256()
        for index in range(len(self)):
            line = f"{self.pictures.filename(index)}\0{self.pictures.stamp(index)}\n"
            found.update(line.encode(errors="surrogateescape"))
        return found.hexdigest()

    def picture(self, index: int) -> tuple[Image.Image, int]:
        """An image in RGB and its class. Raises BadImage."""
        try:
            source, label = self.pictures[index]
        except UNREADABLE as error:
            raise BadImage(reason(error)) from None
        return opened(source), classed(label, self.classes)


def opened(source: BinaryIO | Image.Image) -> Image.Image:
    """The picture in RGB; an open file is closed. Raises BadImage."""
    if isinstance(source, Image.Image):
        return coloured(source)
    with source:
        return decode(source)


def classed(label: Any, classes: int) -> int:
    """The class as a number. Raises BadImage where there is none of that number."""
    if isinstance(label, bool) or (not isinstance(label, int) and not hasattr(label, "__index__")):
        raise BadImage(f"no class: {label!r}")
    if not 0 <= int(label) < classes:
        raise BadImage(f"class {int(label)} of {classes}")
    return int(label)


class Prepared(NamedTuple):
    """One image (C, H, W) as a network reads it, its class and its number."""

    image: Tensor
    label: int
    index: int  # type: ignore[assignment]  # tuple has a method of that name


@dataclass(frozen=True)
class FileSamples:
    """The images of a split as a network reads them. Those that cannot be used are left out, and named."""

    streamed: ClassVar[bool] = False
    split: Files
    inputs: Inputs
    recipe: Recipe | None
    seed: int

    def __len__(self) -> int:
        return len(self.split)

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        return collated([self.prepared(key) for key in keys], self.inputs)

    def prepared(self, key: Key) -> Prepared | Bad:
        try:
            picture, label = self.split.picture(key.index)
        except BadImage as error:
            return Bad(key.index, self.split.pictures.filename(key.index), str(error))
        return Prepared(self.changed(picture, key), label, key.index)

    def changed(self, picture: Image.Image, key: Key) -> Tensor:
        """Augmented as the recipe says and the key decides, or plain."""
        if self.recipe is None:
            return self.inputs.picture(picture)
        with drawing(self.seed, *key[:3]):
            return self.change(picture)

    @cached_property
    def change(self) -> Callable[[Image.Image], Tensor]:
        assert self.recipe is not None, "without a recipe images stay as they are"
        from .transforms import training  # timm comes with it, which nobody needs who only evaluates

        return training(self.inputs, self.recipe)


def collated(found: Sequence[Prepared | Bad], inputs: Inputs) -> Batch:
    """The good ones as one batch, maybe of none, and the bad ones beside it."""
    good = [one for one in found if isinstance(one, Prepared)]
    nothing = torch.zeros(0, inputs.channels, *inputs.size)
    return Batch(
        torch.stack([one.image for one in good]) if good else nothing,
        torch.tensor([one.label for one in good], dtype=torch.long),
        torch.tensor([one.index for one in good], dtype=torch.long),
        tuple(one for one in found if isinstance(one, Bad)),
    )
