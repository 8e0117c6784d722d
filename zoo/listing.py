"""The entries beside the figures of their networks: to filter, to sort, to print. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from ..compiler.cost import cost
from ..compiler.resolve import Network
from .entries import Entry, Metric, every

SortBy = Literal["name", "family", "params", "macs", "top1"]


@dataclass(frozen=True)
class Row:
    """An entry with what its network is and costs."""

    entry: Entry
    network: Network
    params: int
    macs: int

    @classmethod
    def of(cls, entry: Entry) -> Row:
        network = entry.network()
        total = cost(network.family, network.at)
        return cls(entry, network, total.params, total.macs)

    @property
    def family(self) -> str:
        return str(self.network.family.notation)

    @property
    def mixers(self) -> tuple[str, ...]:
        """The token mixers by name, each once, in the order of the stages."""
        return tuple(dict.fromkeys(mixer.notation for mixer in self.network.family.mixers))

    @property
    def top1(self) -> Metric | None:
        """The accuracy the entry states first."""
        return self.entry.metric("top1")

    @property
    def on(self) -> str:
        """The data set of that accuracy."""
        return self.top1.data.partition(",")[0] if self.top1 else ""

    def data(self) -> dict[str, Any]:
        """For other programs: everything the entry says, and the network's figures."""
        known = self.entry.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        figures = {"params": self.params, "macs": self.macs, "digest": self.network.digest}
        return {**known, "family": self.family, "mixers": list(self.mixers), **figures, "shipped": self.entry.shipped}


@dataclass(frozen=True)
class Wanted:
    """Which rows to list; None and False ask for nothing."""

    family: str | None = None
    mixer: str | None = None
    max_params: int | None = None
    max_macs: int | None = None
    min_top1: float | None = None
    shipped: bool = False
    data: str | None = None
    """Where the accuracy was measured."""

    def fits(self, row: Row) -> bool:
        """Whether a row is wanted; names compare without case."""
        return (
            (self.family is None or row.family.lower() == self.family.lower())
            and (self.mixer is None or self.mixer.lower() in (name.lower() for name in row.mixers))
            and (self.max_params is None or row.params <= self.max_params)
            and (self.max_macs is None or row.macs <= self.max_macs)
            and (self.min_top1 is None or (row.top1 is not None and row.top1.value >= self.min_top1))
            and (not self.shipped or row.entry.shipped)
            and (self.data is None or (row.top1 is not None and row.on.lower() == self.data.lower()))
        )


_KEYS: dict[SortBy, Callable[[Row], Any]] = {
    "name": lambda row: (),
    "family": lambda row: row.family,
    "params": lambda row: row.params,
    "macs": lambda row: row.macs,
    "top1": lambda row: -(row.top1.value if row.top1 else -1.0),
}


def rows(wanted: Wanted, by: SortBy = "name", among: Iterable[Entry] | None = None) -> list[Row]:
    """The rows that are wanted, smallest first, the most accurate first; equals by name. Raises SpecError."""
    found = [Row.of(entry) for entry in (every() if among is None else among)]
    return sorted(filter(wanted.fits, found), key=lambda row: (_KEYS[by](row), row.entry.name))
