"""The inverse of reading: operators as notation, in its shortest form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .grammar import Scalar

_EXPONENT = re.compile(r"e\+?(-?)0*")


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
        clauses.append(f"{text} in {show_stages(start + 1, end)}")
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


def show_stages(first: int, last: int) -> str:
    """``stage 2`` or ``stages 1-2``, counted from 1."""
    return f"stage {first}" if first == last else f"stages {first}-{last}"
