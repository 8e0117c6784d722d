"""Sweeps: every point must be a legal network and recipe."""

from __future__ import annotations

from ...document import Document
from ...errors import SpecError
from ...sweep import is_sweep, typed
from ..judge import MOST, Judged


def claims(document: Document, source: str) -> bool:
    """By the folder, or by what it says."""
    return is_sweep(document.data, source)


def judge(document: Document) -> Judged:
    """All problems of its fields; where those are right, all problems of its points."""
    try:
        return Judged(None, None, (), typed(document).sweep)
    except SpecError as error:
        return Judged(None, None, error.problems[:MOST])
