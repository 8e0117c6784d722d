"""A data set of Hugging Face's ``datasets``, ``hfids/DIR`` or ``hfids/org/name``, streamed. timm's reader finds it.

Options: ``image=`` and ``label=`` name the columns, ``root=`` a cache folder; ``train=1281167`` and the like say how
many rows a split has where the data set does not: without, its column of classes is read once to count them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..assemble import MEAN, STD
from ..decode import reason
from ..location import Location
from ..streams import Row, Stream
from ..values import Data
from ._tables import class_names, columns, complaining, split_names


def open(at: Location) -> Data:
    """Raises SpecError where it cannot be read, or has no column of images and one of classes."""
    at.only("image", "label", "root", "train", "val", "test")
    with complaining(at):
        found = {split: Table(at, split, name) for split, name in split_names(at).items()}
        first = next(iter(found.values()))
        names, numbers = class_names(first.features[first.label], first.values())
    splits = {split: Stream(table, len(names)) for split, table in found.items()}
    for table in found.values():
        table.numbers = numbers
    splits.setdefault("val", splits.get("test", next(iter(splits.values()))))
    splits.setdefault("test", splits["val"])
    return Data(at.text, tuple(names), splits, MEAN, STD)


class Table:
    """One split; images stay as bytes until a worker decodes them."""

    def __init__(self, at: Location, split: str, name: str) -> None:
        import datasets
        from timm.data.readers.reader_hfids import ReaderHfids

        reader = ReaderHfids(at.rest, at.options.get("root"), name, num_samples=at.whole(split, 1))
        stream: Any = reader.builder.as_streaming_dataset(name)
        self.features: dict[str, Any] = dict(stream.features or next(iter(stream)))
        self.image, self.label = columns(at, self.features)
        self.stream = stream.cast_column(self.image, datasets.Image(decode=False))
        self.name = f"{at.rest}/{name}"
        self.numbers: dict[Any, int] | None = None
        self.count = at.whole(split, 0, 0) or _known(reader, name) or sum(1 for _ in self.values())

    def values(self) -> Iterator[Any]:
        """The column of classes."""
        return (row[self.label] for row in self.stream.select_columns([self.label]))

    def __len__(self) -> int:
        return self.count

    def names(self) -> list[str]:
        return [f"{self.name}/{shard}" for shard in range(self.stream.num_shards)]

    def rows(self, shard: int) -> Iterator[Row]:
        for number, row in enumerate(self.stream.shard(self.stream.num_shards, shard)):
            image, label = row[self.image] or {}, row[self.label]
            name = image.get("path") or f"{self.name}/{shard}, row {number}"
            known = label if self.numbers is None else self.numbers.get(label)
            yield _row(name, image, known)


def _row(name: str, image: dict[str, Any], label: Any) -> Row:
    if content := image.get("bytes"):
        return Row(name, content, label)
    if not image.get("path"):
        return Row(name, fault="no image")
    try:
        return Row(name, Path(image["path"]).read_bytes(), label)
    except OSError as error:
        return Row(name, fault=reason(error))


def _known(reader: Any, split: str) -> int:
    """Rows of a split as the data set says, 0 where it does not."""
    told = (reader.builder.info.splits or {}).get(split)
    return int(told.num_examples or 0) if told else 0
