"""Kinds of documents; one small file per kind, whose name is the kind's.

Each file defines ``claims(document, source)``: whether a document is of its kind, and ``judge(document)``: everything
the compiler finds wrong with it. What no other kind claims is a spec.
"""

from __future__ import annotations

from ...document import Document
from ..judge import Judged, judge
from . import recipe, sweep

OTHERS = (sweep, recipe)
"""The kinds beside specs."""


def judged(document: Document, source: str) -> Judged:
    """A document as its kind judges it. Never raises."""
    kind = next((kind for kind in OTHERS if kind.claims(document, source)), None)
    return kind.judge(document) if kind else judge(document)
