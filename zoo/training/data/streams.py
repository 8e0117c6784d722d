"""Splits that are read from front to back: shards of samples, near or far, whose images have no number to ask for.

The rows of a shard are numbered as they stand, so that an image is known by its number whatever the order. The order
of an epoch follows from seed and epoch alone: shards in turn by chance, their rows through a buffer. One process reads,
the workers of a loader decode, and so their number changes nothing; each rank reads all and keeps its share.
"""

from __future__ import annotations

import hashlib
import io
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

from PIL import Image

from ....compiler.recipe import Recipe
from ..chance import seed_of, shuffled
from .batch import Bad, Batch, Key
from .decode import BadImage
from .files import Files, FileSamples, Prepared, classed, collated, opened
from .inputs import Inputs

BUFFER = 2048
"""Rows from which the next one is drawn."""
SHARD = 2**32
"""Numbers kept for the rows of one shard."""


class Row(NamedTuple):
    """One sample as it is stored: its name, the bytes of its image, its class; or why it cannot be read."""

    name: str
    content: bytes = b""
    label: Any = None
    fault: str = ""


class StreamKey(NamedTuple):
    """A :class:`Key` that carries what it asks for."""

    epoch: int
    index: int  # type: ignore[assignment]  # tuple has a method of that name
    copy: int
    row: Row


class Shards(Protocol):
    """Rows in shards; ``len`` is the number of rows in all."""

    def __len__(self) -> int: ...

    def names(self) -> Sequence[str]:
        """Of the shards, in order."""

    def rows(self, shard: int) -> Iterator[Row]:
        """Of one shard, in order."""


@dataclass(frozen=True)
class Stream:
    """A split of so many classes that is read from front to back."""

    shards: Shards = field(repr=False)
    classes: int

    def __len__(self) -> int:
        return len(self.shards)

    def samples(self, inputs: Inputs, recipe: Recipe | None = None, seed: int = 0) -> StreamSamples:
        return StreamSamples(self, FileSamples(Files(NOTHING, self.classes), inputs, recipe, seed))

    def digest(self) -> str:
        """Of the shards' names and the number of rows."""
        return hashlib.sha256("\n".join([str(len(self)), *self.shards.names()]).encode()).hexdigest()


@dataclass(frozen=True)
class StreamSamples:
    """The rows of a stream as a network reads them; ``keys`` says in which order."""

    streamed: ClassVar[bool] = True
    split: Stream
    plain: FileSamples

    def __len__(self) -> int:
        return len(self.split)

    def keys(self, epoch: int, start: int = 0, rank: int = 0, ranks: int = 1) -> Iterator[StreamKey]:
        """The keys of one process in an epoch, from its ``start``-th on: every ``ranks``-th row of the whole order."""
        for position, (index, row) in enumerate(self._ordered(epoch)):
            if position % ranks == rank and position // ranks >= start:
                yield StreamKey(epoch, index, 0, row)

    def __getitems__(self, keys: Sequence[Key | StreamKey]) -> Batch:
        found = [self._prepared(key) for key in keys if isinstance(key, StreamKey)]
        assert len(found) == len(keys), "a stream is asked with its own keys"
        return collated(found, self.plain.inputs)

    def _prepared(self, key: StreamKey) -> Prepared | Bad:
        try:
            picture, label = _picture(key.row, self.split.classes)
        except BadImage as error:
            return Bad(key.index, key.row.name, str(error))
        return Prepared(self.plain.changed(picture, Key(*key[:3])), label, key.index)

    def _ordered(self, epoch: int) -> Iterator[tuple[int, Row]]:
        shards = range(len(self.split.shards.names()))
        if self.plain.recipe is None:
            return self._rows(shards)
        seed = self.plain.seed
        return _buffered(self._rows(shuffled(len(shards), seed, epoch)), seed_of(seed, epoch, 1))

    def _rows(self, shards: Iterable[int]) -> Iterator[tuple[int, Row]]:
        for shard in shards:
            for number, row in enumerate(self.split.shards.rows(shard)):
                yield shard * SHARD + number, row


class _Nothing:
    """No pictures by number."""

    def __len__(self) -> int:
        return 0

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        raise LookupError(index)

    def filename(self, index: int) -> str:
        return str(index)

    def stamp(self, index: int) -> object:
        return None


NOTHING = _Nothing()


def _picture(row: Row, classes: int) -> tuple[Image.Image, int]:
    if row.fault:
        raise BadImage(row.fault)
    return opened(io.BytesIO(row.content)), classed(row.label, classes)


def _buffered(rows: Iterator[tuple[int, Row]], seed: int) -> Iterator[tuple[int, Row]]:
    """The rows in another order: always one of the next ``BUFFER``, by chance."""
    chance = random.Random(seed)
    held: list[tuple[int, Row]] = []
    for row in rows:
        if len(held) < BUFFER:
            held.append(row)
            continue
        place = chance.randrange(BUFFER)
        yield held[place]
        held[place] = row
    chance.shuffle(held)
    yield from held
