"""What became of tensors that moved from one network to another, told by path, as few lines as say it all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor

What = Literal["kept", "resized", "widened", "new", "re-initialised", "dropped"]
LOST: frozenset[What] = frozenset({"re-initialised", "dropped"})
"""Fates of weights whose values are gone."""


@dataclass(frozen=True, order=True)
class Fate:
    """What became of one tensor, and why if it is not plain."""

    what: What
    why: str = ""


@dataclass(frozen=True)
class Line:
    """Everything below a path that shares a fate."""

    path: str
    fate: Fate
    tensors: int
    numbers: int

    def facts(self) -> dict[str, Any]:
        """The line for JSON."""
        return {"path": self.path, **asdict(self.fate), "tensors": self.tensors, "numbers": self.numbers}

    @property
    def lost(self) -> bool:
        """Whether values are gone."""
        return self.fate.what in LOST


def lines(fates: Mapping[str, Fate], tensors: Mapping[str, Tensor]) -> list[Line]:
    """One line for every path below which all tensors share a fate."""
    sizes = {name: tensors[name].numel() for name in fates}
    return list(_below("", dict(fates), sizes)) if fates else []


def _below(path: str, fates: dict[str, Fate], sizes: Mapping[str, int]) -> Iterator[Line]:
    kinds = set(fates.values())
    if len(kinds) == 1:
        yield Line(path or "everything", kinds.pop(), len(fates), sum(sizes[name] for name in fates))
        return
    depth = path.count(".") + 1 if path else 0
    groups: dict[str, dict[str, Fate]] = {}
    for name, fate in fates.items():
        groups.setdefault(".".join(name.split(".")[: depth + 1]), {})[name] = fate
    for inner, members in groups.items():
        yield from _below(inner, members, sizes)
