"""From the splits that a source has to those that a training needs."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from .files import Chosen, Files, Pictures
from .inputs import Shade
from .location import Location
from .values import Data, SplitName

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, which timm's models and the papers' recipes use for photographs."""
HELD_OUT = 0.1

# fmt: off
IMAGES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".jp2",
    ".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".tga",
)
# fmt: on
"""Endings of image files; what ends otherwise is not looked at."""
LISTED = 5
"""Classes that a complaint names."""

SYNONYMS: Mapping[SplitName, tuple[str, ...]] = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "eval", "evaluation", "dev"),
    "test": ("test", "testing"),
}
"""Names that splits go by."""


def named(names: Sequence[str]) -> dict[SplitName, str]:
    """Which of some names stand for which split."""
    found: dict[SplitName, str] = {}
    for split, words in SYNONYMS.items():
        for name in sorted(names, key=lambda name: words.index(name.lower()) if name.lower() in words else 99):
            if name.lower() in words:
                found.setdefault(split, name)
    return found


def assemble(
    at: Location, splits: Mapping[SplitName, Files], classes: Sequence[str], mean: Shade = MEAN, std: Shade = STD
) -> Data:
    """A data set of pictures.

    Where there is none to choose by, a share of the training images is held out, ``val=0.1``, by their names, so that
    an image stays on its side when others come and go; ``val=0`` holds out none, and all splits are the same images.
    Where there is no test split, it is that of validation. Raises SpecError for a wrong share.
    """
    found = dict(splits)
    if "train" in found and "val" not in found:
        share = at.share("val", HELD_OUT)
        found["train"], found["val"] = _parted(found["train"], share)
        if not len(found["val"]) or not len(found["train"]):
            raise at.wrong(f"val={share:g} leaves a split without images", "another share, or val=0")
    found.setdefault("val", found.get("test", found.get("val")))  # type: ignore[arg-type]
    found.setdefault("test", found["val"])
    return Data(at.text, tuple(classes), found, mean, std)


def _parted(split: Files, share: float) -> tuple[Files, Files]:
    """The images that stay, and those held out."""
    if share == 0:
        return split, split
    out = [_draw(split.pictures.filename(index)) < share for index in range(len(split))]
    sides = ([index for index, held in enumerate(out) if held == side] for side in (False, True))
    stay, held = (replace(split, pictures=Chosen(split.pictures, side)) for side in sides)
    return stay, held


def _draw(name: str) -> float:
    """A number from 0 to 1 that follows from a name."""
    return int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:8], "big") / 2**64


class Sorted(Pictures, Protocol):
    """Pictures that lie in a folder for each class, which numbers the classes."""

    class_to_idx: dict[str, int]

    def renumber(self, wanted: dict[str, int]) -> None:
        """Another number for each class, by name."""


def joined(at: Location, splits: Mapping[SplitName, Sorted]) -> Data:
    """Splits whose classes are folders, all with the classes of the first. Raises SpecError for a class it has not."""
    wanted = {name: index for index, name in enumerate(next(iter(splits.values())).class_to_idx)}
    for split, pictures in splits.items():
        _same_classes(at, split, wanted, pictures.class_to_idx)
        pictures.renumber(wanted)
    return assemble(at, {split: Files(pictures, len(wanted)) for split, pictures in splits.items()}, list(wanted))


def _same_classes(at: Location, split: str, known: Collection[str], here: Iterable[str]) -> None:
    """Raise SpecError where a split has a class that the first has not: its images would be left out unsaid."""
    if new := [name for name in here if name not in known]:
        words = ", ".join(new[:LISTED]) + (f" and {len(new) - LISTED} more" if len(new) > LISTED else "")
        raise at.wrong(f"{split} has classes that the first split has not: {words}", "one folder for each class")
