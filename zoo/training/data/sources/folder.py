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

from ..assemble import IMAGES, joined, named
from ..decode import BadImage
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
    paths: dict[SplitName, Path] = {split: root / name for split, name in folders.items()} or {"train": root}
    return joined(at, {split: _reader(at, path) for split, path in paths.items()})


class Folder(ReaderImageFolder):
    """timm's reader, which opens regular files alone: a pipe would wait for ever."""

    def __getitem__(self, index: int) -> tuple[BinaryIO, int]:
        path, label = self.samples[index]
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise BadImage("no regular file")
        return Path(path).open("rb"), label

    def renumber(self, wanted: dict[str, int]) -> None:
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
