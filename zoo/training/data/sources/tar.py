"""A tar archive of images, ``X.tar``: a folder for each class in it. timm's reader, which reads single members.

Options: ``val=other.tar`` and ``test=third.tar`` name the archives of the other splits; without, ``val=0.1`` holds out
a share.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import BinaryIO

from timm.data.readers.reader_image_in_tar import ReaderImageInTar, extract_tarinfos

from ..archives import ended
from ..assemble import IMAGES, joined
from ..location import Location
from ..values import Data, SplitName


def open(at: Location) -> Data:
    """The images in an archive. Raises SpecError where it is damaged or has none."""
    at.only("val", "test")
    paths: dict[SplitName, Path] = {"train": Path(at.rest)}
    for split in ("val", "test"):
        if at.options.get(split, "").endswith(".tar"):
            paths[split] = Path(at.options[split])
    return combined(at, paths)


def combined(at: Location, archives: dict[SplitName, Path]) -> Data:
    """One archive for each split, all with the classes of the first."""
    return joined(at, {split: _reader(at, path) for split, path in archives.items()})


class Tar(ReaderImageInTar):
    """timm's list of an archive's images. Each is read by its place, and no file stays open for forks to share."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.samples, self.targets, self.class_to_idx, _ = extract_tarinfos(
            str(path), cache_tarinfo=False, extensions=set(IMAGES)
        )

    def __getitem__(self, index: int) -> tuple[BinaryIO, int]:
        member = self.samples[index][0]
        with self.path.open("rb") as file:
            file.seek(member.offset_data)
            return io.BytesIO(file.read(member.size)), int(self.targets[index])

    def _filename(self, index: int, basename: bool = False, absolute: bool = False) -> str:
        return str(self.samples[index][0].name)

    def renumber(self, wanted: dict[str, int]) -> None:
        new = {index: wanted[name] for name, index in self.class_to_idx.items()}
        self.targets = [new[int(label)] for label in self.targets]
        self.class_to_idx = wanted

    def stamp(self, index: int) -> int:
        """Bytes of a member."""
        return int(self.samples[index][0].size)


def _reader(at: Location, path: Path) -> Tar:
    try:
        found = Tar(path)
    except tarfile.TarError as error:
        raise at.wrong(f"{path} is no tar archive, or a damaged one: {error}", "tar -tf lists what is in it") from None
    except ValueError:  # timm has nothing to sort
        raise at.wrong(f"no images in {path}", "a folder for each class, with .jpg, .png or the like in it") from None
    if not ended(path):
        raise at.wrong(f"{path} is cut off: an archive ends with zeros", "copy it anew")
    if any(nested is not None for _, _, nested in found.samples):
        raise at.wrong(f"{path} holds archives", "images in folders; for shards of samples wds/DIR")
    return found
