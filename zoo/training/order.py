"""Which images make an update, in which order, and which process reads them.

Everything follows from the seed and the number of the epoch. A position is the number of updates behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Protocol

from ...compiler.errors import SpecError
from ...compiler.recipe import Recipe
from .chance import shuffled
from .data import UNFIT, Key

SHUFFLE = 0x0DE2
"""Keeps the order's random numbers apart from those of the images."""


class Streamed(Protocol):
    """Samples that say themselves in which order they come."""

    def keys(self, epoch: int) -> Iterator[Key]: ...


@dataclass(frozen=True)
class Order:
    """The images of every epoch, cut into updates and these into slots.

    A slot is what one process works through at once: an update has ``parts`` times ``ranks`` of them. Slot ``s`` is
    part ``s // ranks`` of process ``s % ranks``, so one process with accumulation sees the slots of several processes.
    """

    images: int
    batch: int
    parts: int
    ranks: int
    seed: int
    repeats: int = 1

    @classmethod
    def of(cls, recipe: Recipe, images: int, ranks: int, seed: int) -> Order:
        """For a recipe and a number of processes. Raises SpecError where these do not share a batch evenly."""
        repeats, slots = max(recipe.aug_repeats, 1), recipe.grad_accum_steps * ranks
        if recipe.batch_size % slots:
            what = f"{recipe.batch_size} images an update cannot be shared by {ranks} processes"
            shares = f"{recipe.grad_accum_steps} parts each" if recipe.grad_accum_steps > 1 else "one part each"
            raise SpecError.of(UNFIT, what, f"{shares}: batch_size must be a multiple of {slots}")
        batch = min(recipe.batch_size, images - images % (2 * slots))  # mixing pairs up the images of a slot
        if not batch:
            raise SpecError.of(UNFIT, f"{images} training images are too few for {slots} slots", "two for each")
        return cls(images, batch, recipe.grad_accum_steps, ranks, seed, repeats)

    @property
    def updates(self) -> int:
        """Updates of an epoch; images that do not fill the last one are left out of it."""
        return self.images // self.batch

    @property
    def slot(self) -> int:
        """Images of a slot."""
        return self.batch // (self.parts * self.ranks)

    def keys(self, epoch: int) -> list[Key]:
        """What an epoch reads, in order. Copies of an image stand beside each other, so they fall to several slots."""
        order = shuffled(self.images, self.seed, SHUFFLE, epoch)
        if self.repeats == 1:
            return [Key(epoch, index) for index in order]
        return [Key(epoch, order[at // self.repeats], at % self.repeats) for at in range(self.images)]

    def slots(self, epoch: int, rank: int, start: int = 0) -> Iterator[list[Key]]:
        """What a process reads, slot by slot, from the update ``start`` on."""
        keys = self.keys(epoch)
        for update in range(start, self.updates):
            yield from self._shared(keys[update * self.batch : (update + 1) * self.batch], rank)

    def streamed(self, samples: Streamed, epoch: int, rank: int, start: int = 0) -> Iterator[list[Key]]:
        """The same of a stream, which is read from its beginning, and once more where it ends too early."""
        passes = (samples.keys(epoch) for _ in repeat(None))
        keys = islice(chain.from_iterable(passes), start * self.batch, None)
        for _ in range(start, self.updates):
            yield from self._shared(list(islice(keys, self.batch)), rank)

    def _shared(self, whole: list[Key], rank: int) -> Iterator[list[Key]]:
        """A process's slots of one update."""
        for part in range(self.parts):
            yield whole[part * self.ranks + rank :: self.parts * self.ranks]
