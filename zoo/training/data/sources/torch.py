"""A data set of torchvision, ``torch/cifar100?root=DIR``, by timm's names for them. Nothing is fetched unasked.

Options: ``root`` is where its files are (``~/.cache/mixspec/data`` if left out), ``download=1`` fetches them,
``val=0.1`` holds out a share of the training images where torchvision has only a test split.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from timm.data import create_dataset  # type: ignore[attr-defined]

from ..assemble import MEAN, STD, assemble
from ..files import Files
from ..inputs import Shade
from ..location import Location
from ..values import Data, SplitName

ROOT = "~/.cache/mixspec/data"
SHADES: Mapping[str, tuple[Shade, Shade]] = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "mnist": ((0.1307,) * 3, (0.3081,) * 3),
    "kmnist": ((0.1918,) * 3, (0.3483,) * 3),
    "fashion_mnist": ((0.2860,) * 3, (0.3530,) * 3),
    "qmnist": ((0.1307,) * 3, (0.3081,) * 3),
}
"""Mean and spread of the training pixels."""
ONLY_TEST = frozenset(SHADES)
"""Sets whose second split is for testing; the others' is for validation."""
NAMES = (*SHADES, "imagenet", "places365", "inaturalist", "image_folder")


@dataclass(frozen=True)
class Decoded:
    """torchvision's data set as pictures by number."""

    dataset: Any

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        picture, label = self.dataset[index]
        return picture, label

    def filename(self, index: int) -> str:
        samples = getattr(self.dataset, "samples", None)
        return str(samples[index][0]) if samples else str(index)

    def stamp(self, index: int) -> object:
        """The class: pixels are those of the published set."""
        targets = getattr(self.dataset, "targets", None)
        return "" if targets is None else int(targets[index])


def open(at: Location) -> Data:
    """Raises SpecError for an unknown name, and where the files are not there or damaged."""
    at.only("root", "download", "val")
    if at.rest.lower() not in NAMES:
        raise at.wrong(f"torchvision has no data set {at.rest!r} here", f"one of: {', '.join(NAMES)}")
    second: SplitName = "test" if at.rest.lower() in ONLY_TEST else "val"
    sets = {split: _opened(at, name) for split, name in (("train", "train"), (second, "validation"))}
    classes = [_name(one) for one in getattr(sets["train"], "classes", ())]
    if not classes:
        raise at.wrong("torchvision does not say which classes it has", "image_folder reads a folder of images")
    splits: dict[SplitName, Files] = {split: Files(Decoded(one), len(classes)) for split, one in sets.items()}  # type: ignore[misc]
    mean, std = SHADES.get(at.rest.lower(), (MEAN, STD))
    return assemble(at, splits, classes, mean, std)


def _opened(at: Location, split: str) -> Any:
    root = str(Path(at.options.get("root", ROOT)).expanduser())
    download = at.options.get("download", "0") not in ("0", "false", "no")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision's own files, in old formats of NumPy
            return create_dataset(f"torch/{at.rest}", root, split=split, download=download)
    except (RuntimeError, OSError, ValueError) as error:
        words = " ".join(str(error).split())
        raise at.wrong(
            f"not in {root}: {words}", "root=DIR names the folder, download=1 fetches what is missing"
        ) from None


def _name(one: Any) -> str:
    """The name of a class; of ImageNet's synonyms the first."""
    return str(one[0]) if isinstance(one, tuple) else str(one)
