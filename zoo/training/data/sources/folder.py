"""A folder of images, ``DIR``: one folder for each class, in ``train``, ``val`` and ``test`` or not. timm's reader.

Options: ``val=0.1`` holds out a share where there is no ``val``; 0 holds out none. Where a folder holds ``train.tar``
and ``val.tar`` instead, these are read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from timm.data.readers.reader_image_folder import ReaderImageFolder

from ..assemble import IMAGES, assemble, named, same_classes
from ..decode import BadImage
from ..files import Files
from ..location import Location
from ..values import Data, SplitName
from . import tar


def open(at: Location) -> Data:
    """The images in a folder. Raises SpecError where there are none, or where a split has classes of its own."""
    at.only("val")
    root = Path(at.rest)
    inside = sorted(root.iterdir())
    folders = named([path.name for path in inside if path.is_dir()])
    archives = named([path.stem for path in inside if path.suffix.lower() == ".tar"])
    if archives and not folders:
        return tar.combined(at, {split: root / f"{name}.tar" for split, name in archives.items()})
    return combined(at, {split: root / name for split, name in folders.items()} or {"train": root})


def combined(at: Location, folders: dict[SplitName, Path]) -> Data:
    """One folder for each split, all with the classes of the first."""
    readers = {split: _reader(at, folder) for split, folder in folders.items()}
    classes = list(next(iter(readers.values())).class_to_idx)
    for split, reader in readers.items():
        same_classes(at, split, classes, list(reader.class_to_idx))
        reader.renumber({name: index for index, name in enumerate(classes)})
    return assemble(at, {split: Files(reader, len(classes)) for split, reader in readers.items()}, classes)


class Folder(ReaderImageFolder):
    """timm's reader, which opens regular files alone: a pipe would wait for ever."""

    def __getitem__(self, index: int) -> tuple[BinaryIO, int]:
        path, label = self.samples[index]
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadImage("no regular file")
        return Path(path).open("rb"), label

    def renumber(self, wanted: dict[str, int]) -> None:
        """Another number for each class, by name."""
        new = {index: wanted[name] for name, index in self.class_to_idx.items()}
        self.samples = [(path, new[label]) for path, label in self.samples]
        self.class_to_idx = wanted

    def stamp(self, index: int) -> int:
        """Bytes of a file, -1 where there is none."""
        try:
            return os.stat(self.samples[index][0]).st_size
        except OSError:
            return -1


def _reader(at: Location, folder: Path) -> Folder:
    try:
        return Folder(str(folder), input_key=";".join(IMAGES))
    except RuntimeError:
        raise at.wrong(
            f"no images in {folder}", "one folder for each class, with .jpg, .png or the like in it"
        ) from None
