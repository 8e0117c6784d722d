"""Training recipes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...complaints import MISSING_KEY, UNKNOWN_KEY
from ...document import Document
from ...errors import Path, Problem, SpecError
from ...recipe import is_recipe, typed
from ..judge import MOST, MOST_RENAMED, ROUNDS, Judged, renamed

STAND_INS: dict[str, object] = {"name": "unnamed", "epochs": 10**9, "batch_size": 720_720, "lr": 1e-3}
"""For keys that a recipe must have; they go with any value of the others."""


def claims(document: Document, source: str) -> bool:
    """By the folder, or by what it says."""
    return is_recipe(document.data, source)


def judge(document: Document) -> Judged:
    """All problems. A broken value is replaced by its default, so that the others are still compared."""
    data: Any = document.data
    problems: list[Problem] = []
    broken: set[Path] = set()
    for _ in range(ROUNDS):
        try:
            found = typed(replace(document, data=data))
        except SpecError as error:
            found_now = [_placed(document, one) for one in error.problems[:MOST]]
            fresh = [one for one in found_now if one.where[:1] not in broken and one not in problems]
            problems += fresh
            if not isinstance(data, dict) or not fresh:
                break
            for problem in fresh[:MOST_RENAMED]:
                document, data = renamed(document, data, problem)
            data = _mended(data, fresh, broken)
        else:
            return Judged(None, None, tuple(problems), found)
    return Judged(None, None, tuple(problems))


def _placed(document: Document, problem: Problem) -> Problem:
    """What is missing is complained about at the first key."""
    absent = problem.code == MISSING_KEY or not problem.where
    return replace(problem, span=min(document.keys.values())) if absent and document.keys else problem


def _mended(data: dict[str, Any], problems: list[Problem], broken: set[Path]) -> dict[str, Any]:
    """The data without what is complained about."""
    data = dict(data)
    for problem in problems:
        key = str(problem.where[0]) if problem.where else "lr"
        if problem.code == UNKNOWN_KEY or (problem.code == MISSING_KEY and key in data):
            if problem.code == UNKNOWN_KEY:
                data.pop(key, None)
            continue  # what is missing has its right name by now
        broken.add((key,))
        data.pop(key, None)
        if key in STAND_INS and not (key == "lr" and "lr_base" in data):
            data[key] = STAND_INS[key]
    return data
