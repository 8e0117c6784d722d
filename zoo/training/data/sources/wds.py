"""Shards of a webdataset, ``wds/DIR``: archives of samples, each some members of one name. timm's reader finds them.

``DIR/_info.json`` says which shards a split has, as timm's sets do; else ``train=shard-{00..09}.tar|5000`` names them,
with the number of samples behind the bar (counted once if left out). ``classes=names.txt``, one name a line, or
``classes=10``.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..archives import ended
from ..assemble import MEAN, STD
from ..decode import reason
from ..location import Location
from ..streams import Row, Stream
from ..values import Data, SplitName

IMAGES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif", "ppm")
BROKEN = (OSError, EOFError, ValueError, LookupError, tarfile.TarError)
WORDS: tuple[tuple[SplitName, str], ...] = (("train", "train"), ("val", "validation"), ("test", "test"))
CLASSES = "class_names"


def open(at: Location) -> Data:
    """Raises SpecError where shards or classes are not known."""
    at.only("train", "val", "test", "classes")
    if importlib.util.find_spec("webdataset") is None:
        raise at.wrong("the library `webdataset` is not installed", "pip install mixspec[train]")
    if not Path(at.rest).is_dir():
        raise at.wrong("there is no such folder", "wds/DIR, where DIR holds the shards")
    found = {split: shards for split, word in WORDS if (shards := _shards(at, split, word))}
    if not found:
        raise at.wrong(f"no shards: {at.rest}/_info.json names none", "train=shard-{00..09}.tar|5000")
    names = _classes(at)
    splits = {split: Stream(shards, len(names)) for split, shards in found.items()}
    splits.setdefault("val", splits.get("test", next(iter(splits.values()))))
    splits.setdefault("test", splits["val"])
    return Data(at.text, tuple(names), splits, MEAN, STD)


class Archives:
    """The shards of one split."""

    def __init__(self, root: str, files: tuple[str, ...], count: int) -> None:
        self.paths = [str(Path(root) / file) for file in files]
        self.count = count or sum(1 for shard in range(len(files)) for _ in self.rows(shard))

    def __len__(self) -> int:
        return self.count

    def names(self) -> list[str]:
        return self.paths

    def rows(self, shard: int) -> Iterator[Row]:
        """A damaged archive ends with a row that says so."""
        import webdataset

        path = self.paths[shard]
        try:
            with Path(path).open("rb") as stream:
                for sample in webdataset.tariterators.group_by_keys(
                    webdataset.tariterators.tar_file_expander([{"url": path, "stream": stream}])
                ):
                    yield _row(f"{path}: {sample['__key__']}", sample)
            if not ended(Path(path)):
                yield Row(path, fault="cut off; what followed in this archive is lost")
        except BROKEN as error:
            yield Row(path, fault=f"{reason(error)}; what follows in this archive is lost")


def _row(name: str, sample: dict[str, Any]) -> Row:
    image = next((sample[kind] for kind in IMAGES if kind in sample), None)
    if image is None:
        return Row(name, fault=f"no image among its members: {', '.join(sorted(k for k in sample if k[0] != '_'))}")
    try:
        return Row(name, image, int(sample["cls"]))
    except (LookupError, ValueError):
        return Row(name, fault="no class: a member .cls with a number")


def _shards(at: Location, split: SplitName, word: str) -> Archives | None:
    """The shards of a split, None where there are none."""
    from timm.data.readers.reader_wds import ReaderWds

    logging.getLogger("timm.data.readers.reader_wds").setLevel(logging.ERROR)  # _info.json may be missing
    try:
        told = ReaderWds(at.rest, split=at.options.get(split, word)).split_info
    except RuntimeError:
        return None
    except (KeyError, ValueError, TypeError) as error:
        raise at.wrong(f"_info.json or {split}= is not as timm reads it: {error}") from None
    return Archives(at.rest, tuple(told.filenames), int(told.num_samples))


def _classes(at: Location) -> list[str]:
    """The names of the classes, from the option or from _info.json."""
    told: Any = at.options.get("classes") or _info(at).get(CLASSES)
    if isinstance(told, list):
        return [str(name) for name in told]
    if told is None:
        raise at.wrong("its classes are not told", f"classes=names.txt, classes=10, or {CLASSES} in _info.json")
    if str(told).isdigit():
        return [str(index) for index in range(at.whole("classes", 0))]
    return Path(told).read_text(encoding="utf-8").splitlines()


def _info(at: Location) -> dict[str, Any]:
    """timm's description of the set, if there is one."""
    file = Path(at.rest) / "_info.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}
