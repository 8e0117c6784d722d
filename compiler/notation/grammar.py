"""Paper notation: ``CADAsp b=128 ca=3 agg=7 Ch=16`` and ``Hpx in stages 1–2, attention in stages 3–4``.

    plan     = clause { "," clause }
    clause   = operator [ "in" ( "stage" | "stages" ) stages ]
    operator = NAME { KEY "=" value }
    value    = scalar | "(" scalar { "," scalar } ")"          one scalar for each stage of the clause
    stages   = span { ( "," | "and" ) span }
    span     = INTEGER [ ( "-" | "–" | "to" ) INTEGER ]
    scalar   = INTEGER | FLOAT | "true" | "false" | WORD

Names of operators are compared without case, keys exactly. Which operators and keys exist is the registries' business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from ..suggest import nearest

Scalar: TypeAlias = int | float | bool | str
Extent: TypeAlias = tuple[int, int]
"""Offset of a token in its text, and its length."""


GRAMMAR, COVERAGE, VALUES, REPEATED = "MX105", "MX106", "MX107", "MX108"
"""Not in the grammar; stages without an operator or with two; other than one value for each stage; a key twice."""

MOST_STAGES = 10_000
"""Stages that one clause may name."""


class NotationError(ValueError):
    """Text that is not notation: what is wrong, at which characters, what would be right, what could stand there."""

    def __init__(
        self, what: str, extent: Extent, hint: str = "", *, code: str = GRAMMAR, nearest: tuple[str, ...] = ()
    ) -> None:
        super().__init__(what)
        self.what, self.extent, self.hint, self.code, self.nearest = what, extent, hint, code, nearest


@dataclass(frozen=True, slots=True)
class Param:
    """``b=128`` or ``b=(8,16,32,64)``: key and values with their places; a single value stands for all stages."""

    key: str
    key_extent: Extent
    values: tuple[Scalar, ...]
    extents: tuple[Extent, ...]
    per_stage: bool

    @property
    def extent(self) -> Extent:
        """From the first value's first character to the last value's last."""
        (start, _), (last, length) = self.extents[0], self.extents[-1]
        return start, last + length - start


@dataclass(frozen=True, slots=True)
class Clause:
    """One operator with its parameters, and the stages it is for (empty: all that are left)."""

    name: str
    extent: Extent
    params: tuple[Param, ...]
    stages: tuple[int, ...]
    stages_extent: Extent


_TOKEN = re.compile(r"(?P<space>\s+)|(?P<word>[^\s=,()–-](?:[^\s=,()–]*[^\s=,()–])?)|(?P<mark>[=,()–-])")
_INT = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+)([eE][+-]?\d+)?")
_WORD = re.compile(r"[^\W\d][\w.+-]*")
_STAGE = re.compile(r"[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int

    @property
    def extent(self) -> Extent:
        return self.start, len(self.text)


def _scan(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        assert match, f"every character is a space, a mark or part of a word: {text[place]!r}"
        if match.lastgroup != "space":
            tokens.append(_Token(match.group(), place))
        place = match.end()
    return tokens


def scalar(word: str) -> Scalar:
    """``8`` to int, ``0.5`` and ``5e-4`` to float, ``true`` to bool, anything else as it stands."""
    if word in ("true", "false"):
        return word == "true"
    if _INT.fullmatch(word) and len(word) <= 18:
        return int(word)
    if _FLOAT.fullmatch(word):
        return float(word)
    return word


class _Reader:
    """Recursive descent over the tokens of one text; one method per line of the grammar."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.index = text, _scan(text), 0

    def peek(self, ahead: int = 0) -> str:
        place = self.index + ahead
        return self.tokens[place].text if place < len(self.tokens) else ""

    def take(self) -> _Token:
        if self.index == len(self.tokens):
            raise self.wrong("the notation ends too early")
        self.index += 1
        return self.tokens[self.index - 1]

    def wrong(self, what: str, hint: str = "", nearest: tuple[str, ...] = ()) -> NotationError:
        place = self.index
        extent = self.tokens[place].extent if place < len(self.tokens) else (max(len(self.text) - 1, 0), 1)
        return NotationError(what, extent, hint, nearest=nearest)

    def plan(self) -> tuple[Clause, ...]:
        clauses = [self.clause()]
        while self.peek():
            if self.peek() != ",":
                raise self.wrong(
                    f"unexpected {self.peek()!r}", "write KEY=VALUE, `in stages 1-2`, or a comma and another operator"
                )
            self.take()
            clauses.append(self.clause())
        return tuple(clauses)

    def clause(self) -> Clause:
        if not _WORD.fullmatch(self.peek()):
            stray = ("",) if not self.peek() and self.index else ()  # a comma with nothing behind it
            raise self.wrong("an operator's name is expected here", "for example `DW k=7`", stray)
        if self.peek(1) == "=":
            raise self.wrong("an operator's name is expected here, not a parameter", "NAME KEY=VALUE KEY=VALUE")
        name = self.take()
        params: list[Param] = []
        while self.peek(1) == "=":
            params.append(self.param())
        stages: tuple[int, ...] = ()
        start = end = name.start
        if self.peek() == "in":
            start = self.take().start
            stages = self.stages()
            end = sum(self.tokens[self.index - 1].extent)
        return Clause(name.text, name.extent, tuple(params), stages, (start, end - start))

    def param(self) -> Param:
        key = self.take()
        self.take()
        if self.peek() != "(":
            value = self.value()
            return Param(key.text, key.extent, (scalar(value.text),), (value.extent,), per_stage=False)
        self.take()
        values = [self.value()]
        while self.peek() == ",":
            self.take()
            values.append(self.value())
        if self.peek() != ")":
            raise self.wrong("the bracket is not closed", "one value for each stage: b=(8,16,32,64)")
        self.take()
        scalars = tuple(scalar(value.text) for value in values)
        return Param(key.text, key.extent, scalars, tuple(value.extent for value in values), per_stage=True)

    def value(self) -> _Token:
        if self.peek() == "-" and _FLOAT.fullmatch(self.peek(1)):
            sign, number = self.take(), self.take()
            return _Token(sign.text + number.text, sign.start)
        if self.peek() in ("", *"=,()–-") or self._starts_anew():
            raise self.wrong("a value is expected here", "KEY=VALUE without spaces, as in b=128")
        return self.take()

    def _starts_anew(self) -> bool:
        """Whether the next words begin another parameter, or name stages."""
        stages = self.peek() == "in" and self.peek(1) in ("stage", "stages")
        return stages or (self.peek(1) == "=" and _WORD.fullmatch(self.peek()) is not None)

    def stages(self) -> tuple[int, ...]:
        if self.peek() not in ("stage", "stages"):
            raise self.wrong("`in` is followed by `stage` or `stages`", "in stages 3-4", self._stage_word())
        self.take()
        found = [*self.span()]
        while self.peek() == "and" or (self.peek() == "," and self.peek(1)[:1].isdigit()):
            self.take()
            found += self.span()
            if len(found) > MOST_STAGES:
                raise self.wrong("more stages than any network has", "in stages 1-2")
        return tuple(found)

    def _stage_word(self) -> tuple[str, ...]:
        """What could stand for a misspelt or forgotten `stages`."""
        word = self.peek()
        return (f"stages {word}",) if word[:1].isdigit() else tuple(nearest(word, ("stages", "stage"), most=1))

    def span(self) -> range:
        word, start = self.peek(), self.index
        if "-" in word[1:]:  # "1-2" is one word to the scanner, because names such as k-means are
            first, _, last = self.take().text.partition("-")
            return self.numbers(first, last, start)
        first = self.take().text if word else ""
        if self.peek() in ("-", "–", "to"):
            self.take()
            return self.numbers(first, self.take().text, start)
        return self.numbers(first, first, start)

    def numbers(self, first: str, last: str, start: int) -> range:
        """The stages ``first`` to ``last``, read from the token ``start`` on."""
        if not (_STAGE.fullmatch(first) and _STAGE.fullmatch(last)):
            self.index -= 1
            raise self.wrong("stages are whole numbers", "in stages 1-2, in stages 1, 3 and 4, in stage 2")
        if int(first) > int(last) or int(first) == 0:
            place = self.tokens[start].start
            extent = place, sum(self.tokens[self.index - 1].extent) - place
            hint = "stages count from 1, the smaller number first"
            low, high = sorted((int(first), int(last)))
            better = f"{low}-{high}" if low else f"1-{high + 1}" if high else "1"
            raise NotationError(f"{first}-{last} is not a range of stages", extent, hint, nearest=(better,))
        return range(int(first), int(last) + 1)


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Clause, ...]:
    """The clauses of a plan. Raises :class:`NotationError`."""
    return _Reader(text).plan()
