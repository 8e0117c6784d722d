"""What is wrong, where, and what to do about it: the one shape of every complaint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Self, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""A place in a document or a tree: ``("mixers", 2, "head_channels")``."""


class Span(NamedTuple):
    """A stretch of text. Lines and columns count from 1, in characters; the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int

    def within(self, offset: int, length: int) -> Span:
        """The part of a one-line span that starts ``offset`` characters in."""
        start = self.column + offset
        return Span(self.line, start, self.line, start + length)


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint. ``what`` says what is wrong, ``hint`` what would be right.

    ``trail`` is what was inferred on the way (``stage 3 is 14x14x320 here``), ``nearest`` what could stand at the place
    instead, best first.
    """

    code: str
    what: str
    hint: str = ""
    where: Path = ()
    span: Span | None = None
    source: str = ""
    trail: str = ""
    nearest: tuple[str, ...] = ()

    def at(self, source: str, span: Span) -> Problem:
        return replace(self, source=source, span=span)

    def under(self, *prefix: str | int) -> Problem:
        """The same complaint, seen from a layer that holds the one complaining."""
        return replace(self, where=(*prefix, *self.where))

    def __str__(self) -> str:
        place = [self.source] if self.source else []
        if self.span:
            place += [str(self.span.line), str(self.span.column)]
        elif self.where:
            place += [".".join(map(str, self.where))]
        head = ":".join(place) + ": " if place else ""
        return f"{head}{self.code} {self.what}" + (f" ({self.hint})" if self.hint else "")


class SpecError(ValueError):
    """A spec that cannot be used; carries every problem found, each with where, what and hint."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = problems

    @classmethod
    def of(cls, code: str, what: str, hint: str = "", where: Path = ()) -> Self:
        return cls(Problem(code, what, hint, where))

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))
