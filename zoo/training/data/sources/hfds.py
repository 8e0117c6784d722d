"""A data set of Hugging Face's ``datasets``, ``hfds/DIR`` or ``hfds/org/name``, all of it on this disk. timm's reader.

Options: ``image=`` and ``label=`` name the columns, ``root=`` the folder where ``datasets`` keeps its tables,
``val=0.1`` as for folders.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from ..assemble import assemble
from ..files import Files
from ..location import Location
from ..values import Data
from ._tables import class_names, columns, complaining, split_names


def open(at: Location) -> Data:
    """Raises SpecError where it cannot be read, or has no column of images and one of classes."""
    at.only("image", "label", "root", "val")
    with complaining(at):
        tables = {split: Table.read(at, name) for split, name in split_names(at).items()}
    first = next(iter(tables.values()))
    names, numbers = class_names(first.feature, first.values())
    for table in tables.values():
        table.numbers = numbers
    return assemble(at, {split: Files(table, len(names)) for split, table in tables.items()}, names)


class Table:
    """timm's reader of one split."""

    def __init__(self, reader: Any) -> None:
        self.reader = reader
        self.numbers: dict[Any, int] | None = None

    @classmethod
    def read(cls, at: Location, split: str) -> Table:
        import datasets
        from timm.data.readers.reader_hfds import ReaderHfds

        features = datasets.load_dataset(at.rest, split=split, cache_dir=at.options.get("root")).features
        image, label = columns(at, features)
        return cls(ReaderHfds(at.rest, at.options.get("root"), split, input_key=image, target_key=label))

    @property
    def feature(self) -> Any:
        """What the table says of the column of classes."""
        return self.reader.dataset.features[self.reader.label_key]

    def values(self) -> list[Any]:
        """The column of classes."""
        return list(self.reader.dataset[self.reader.label_key])

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> tuple[BinaryIO, Any]:
        source, label = self.reader[index]
        return source, label if self.numbers is None else self.numbers.get(label)

    def filename(self, index: int) -> str:
        image = self.reader.dataset[index][self.reader.image_key] or {}
        return str(image.get("path") or f"row {index}")

    def stamp(self, index: int) -> object:
        """The library's own fingerprint, of the whole table."""
        return self.reader.dataset._fingerprint
