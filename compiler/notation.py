"""Paper notation: ``CADAsp b=128 ca=3 agg=7 Ch=16`` and ``Hpx in stages 1–2, attention in stages 3–4``.

    plan     = clause { "," clause }
    clause   = operator [ "in" ( "stage" | "stages" ) stages ]
    operator = NAME { KEY "=" value }
    value    = scalar | "(" scalar { "," scalar } ")"          one scalar for each stage of the clause
    stages   = span { ( "," | "and" ) span }
    span     = INTEGER [ ( "-" | "–" | "to" ) INTEGER ]
    scalar   = INTEGER | FLOAT | "true" | "false" | WORD

Names of operators are compared without case, keys exactly. This module knows the grammar only; which operators and
keys exist is the registries' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from .suggest import nearest

Scalar: TypeAlias = int | float | bool | str
Extent: TypeAlias = tuple[int, int]
"""Offset of a token in its text, and its length."""


GRAMMAR, COVERAGE, VALUES, REPEATED = "MX105", "MX106", "MX107", "MX108"
"""Not in the grammar; stages without an operator or with two; other than one value for each stage; a key twice."""


MOST_STAGES = 10_000


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


@dataclass(frozen=True, slots=True)
class Call:
    """An operator as one stage sees it: a name and one scalar for each key."""

    name: str
    params: Mapping[str, Scalar]
    extents: Mapping[str, Extent]
    """Place of every value by key, and of the operator's name under the empty key."""


_TOKEN = re.compile(r"(?P<space>\s+)|(?P<word>[^\s=,()–-](?:[^\s=,()–]*[^\s=,()–])?)|(?P<mark>[=,()–-])")
_EXPONENT = re.compile(r"e\+?(-?)0*")
_INT = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+)([eE][+-]?\d+)?")
_WORD = re.compile(r"[^\W\d][\w.+-]*")


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
        if self.peek() in ("", *"=,()–-") or (self.peek() == "in" and self.peek(1) in ("stage", "stages")):
            raise self.wrong("a value is expected here", "KEY=VALUE without spaces, as in b=128")
        return self.take()

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
        if not (
            first.isascii()
            and first.isdigit()
            and last.isascii()
            and last.isdigit()
            and max(map(len, (first, last))) < 4
        ):
            self.index -= 1
            raise self.wrong("stages are whole numbers", "in stages 1-2, in stages 1, 3 and 4, in stage 2")
        if int(first) > int(last) or int(first) == 0:
            place = self.tokens[start].start
            extent = place, sum(self.tokens[self.index - 1].extent) - place
            hint = "stages count from 1, the smaller number first"
            better = (f"{last}-{first}",) if int(last) else (f"1-{last}",) if int(last) > 1 else ()
            raise NotationError(f"{first}-{last} is not a range of stages", extent, hint, nearest=better)
        return range(int(first), int(last) + 1)


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Clause, ...]:
    """The clauses of a plan. Raises :class:`NotationError`."""
    return _Reader(text).plan()


@dataclass(frozen=True, slots=True)
class Plan:
    """What each stage is told, as far as that can be told, and everything that is wrong with it.

    ``filled``: stages, counted from 0, that no clause is for; they have the last clause's call. ``idle``: calls that no
    stage is left for.
    """

    calls: tuple[Call, ...]
    errors: tuple[NotationError, ...]
    filled: tuple[int, ...]
    idle: tuple[Call, ...]


def per_stage(clauses: Iterable[Clause], stages: int) -> tuple[Call, ...]:
    """What each of ``stages`` stages is told. Every stage is named by exactly one clause, else NotationError."""
    found = plan(clauses, stages)
    if found.errors:
        raise found.errors[0]
    return found.calls


def plan(clauses: Iterable[Clause], stages: int) -> Plan:
    """The same with all mistakes: each is noted and read over. The first clause that names a stage has it."""
    calls: dict[int, Call] = {}
    idle: list[Call] = []
    errors: list[NotationError] = []
    clauses = tuple(clauses)
    for clause in clauses:
        own = clause.stages or tuple(stage for stage in range(1, stages + 1) if stage not in calls)
        errors += _misplaced(clause, own, calls, stages)
        places = {stage: index for index, stage in reversed([*enumerate(own)]) if stage <= stages}
        first, mistakes = _call(clause, 0, own[0] - 1 if own else 0, max(len(own), 1), stages)
        errors += [one for one in mistakes if own or one.code == REPEATED]  # they are the same for all stages
        free = {stage: index for stage, index in places.items() if stage not in calls}
        calls |= {stage: _call(clause, index, stage - 1, len(own), stages)[0] for stage, index in free.items()}
        idle += [] if free else [first]
    missing = [stage for stage in range(1, stages + 1) if stage not in calls]
    if missing:
        errors.append(_unnamed(clauses, missing))
        last = _call(clauses[-1], 0, 0, 1, 1)[0]
        calls |= dict.fromkeys(missing, last)
    every = tuple(calls[stage] for stage in range(1, stages + 1))
    return Plan(every, tuple(errors), tuple(stage - 1 for stage in missing), tuple(idle))


def _misplaced(clause: Clause, own: tuple[int, ...], taken: Mapping[int, Call], stages: int) -> Iterator[NotationError]:
    """The first of a clause's stages that does not exist or is taken; or that none is left."""
    if not own:
        hint = "write `in stages 1-2` behind every operator but the last"
        yield NotationError(f"no stage is left for {clause.name}", clause.extent, hint, code=COVERAGE)
        return
    seen = {*taken}
    for stage in own:
        if stage > stages:
            hint = f"the network has {stages} stages"
            yield _uncovered(f"there is no stage {stage}", clause, {*own} & {*range(1, stages + 1)}, hint)
            return
        if stage in seen:
            better = {stage for stage in own if stage <= stages} - {*taken}
            yield _uncovered(f"stage {stage} is named twice", clause, better, "one operator for each stage")
            return
        seen.add(stage)


def _unnamed(clauses: tuple[Clause, ...], missing: list[int]) -> NotationError:
    """Stages that no clause is for."""
    clause = next((one for one in clauses if missing[-1] + 1 in one.stages), clauses[-1])
    what = f"no operator for stage {', '.join(map(str, missing))}"
    hint = "leave `in stages` off the last operator, or name every stage"
    return _uncovered(what, clause, {*clause.stages, *missing}, hint)


def _uncovered(what: str, clause: Clause, better: set[int], hint: str) -> NotationError:
    """A complaint about the stages of a clause, with those it should name instead."""
    stages = sorted(better)
    whole = bool(stages) and stages == [*range(stages[0], stages[-1] + 1)]
    better_text = (f"in {_stages(stages[0], stages[-1])}",) if whole else ()
    return NotationError(what, clause.stages_extent, hint, code=COVERAGE, nearest=better_text)


def _call(clause: Clause, index: int, stage: int, own: int, stages: int) -> tuple[Call, list[NotationError]]:
    """The clause as its ``index``-th stage sees it; tuples list the clause's own stages, or all of the network's.
    With what is wrong: of a key given twice the first counts, of too few values the last stands for the rest.
    """
    params: dict[str, Scalar] = {}
    extents: dict[str, Extent] = {"": clause.extent}
    errors: list[NotationError] = []
    for param in clause.params:
        if param.key in params:
            errors.append(_repeated(param))
            continue
        at = 0
        if param.per_stage:
            if len(param.values) not in (own, stages):
                errors.append(_uneven(param, own))
            at = min(stage if len(param.values) == stages != own else index, len(param.values) - 1)
        params[param.key] = param.values[at]
        extents[param.key] = param.extents[at]
        extents[f"{param.key}="] = param.key_extent
    return Call(clause.name, params, extents), errors


def _repeated(param: Param) -> NotationError:
    start, end = param.key_extent[0], sum(param.extent) + param.per_stage
    what = f"{param.key} is given twice"
    return NotationError(what, (start, end - start), "each parameter once", code=REPEATED, nearest=("",))


def _uneven(param: Param, own: int) -> NotationError:
    what, better = f"{param.key} has {len(param.values)} values for {own} stages", _stretched(param.values, own)
    return NotationError(what, param.extent, "one value for each stage", code=VALUES, nearest=(better,))


def _stretched(values: tuple[Scalar, ...], count: int) -> str:
    """As many values as there are stages: the first of them, or the last repeated."""
    return ",".join(map(show_scalar, (*values, *[values[-1]] * count)[:count]))


def show_scalar(value: Scalar) -> str:
    """The scalar as notation writes it."""
    if isinstance(value, float):
        return _EXPONENT.sub(r"e\1", str(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def show_call(name: str, params: Mapping[str, Scalar]) -> str:
    """One operator as notation: ``DW k=7 Ch=16``."""
    return " ".join([name, *(f"{key}={show_scalar(value)}" for key, value in params.items())])


def show_plan(calls: Iterable[tuple[str, Mapping[str, Scalar]]]) -> str:
    """The shortest plan that says this, stage by stage.

    Neighbouring stages with equal operators share a clause; where only values differ they are written as tuples.
    """
    stages = list(calls)
    merged = _merged(stages, 1)
    if merged is not None:
        return merged
    clauses: list[str] = []
    start = 0
    while start < len(stages):
        end = start + 1
        while end < len(stages) and _merged(stages[start : end + 1], start + 1) is not None:
            end += 1
        text = _merged(stages[start:end], start + 1)
        clauses.append(f"{text} in {_stages(start + 1, end)}")
        start = end
    return ", ".join(clauses)


def _merged(stages: list[tuple[str, Mapping[str, Scalar]]], first: int) -> str | None:
    name, keys = stages[0][0], list(stages[0][1])
    if any(other != name or list(params) != keys for other, params in stages):
        return None
    words = [name]
    for key in keys:
        values = [params[key] for _, params in stages]
        same = all(value == values[0] and type(value) is type(values[0]) for value in values)
        words.append(f"{key}={show_scalar(values[0])}" if same else f"{key}=({','.join(map(show_scalar, values))})")
    return " ".join(words)


def _stages(first: int, last: int) -> str:
    return f"stage {first}" if first == last else f"stages {first}-{last}"
