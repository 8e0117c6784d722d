"""Notation as other tools and some papers write it, said again in the words of the grammar."""

from __future__ import annotations

import re

from ..edits import Edit
from ..errors import Problem
from ..notation.grammar import NotationError, parse
from ..positions import text_at
from .file import File
from .finding import Fix

LONGEST = 500
"""Characters of notation that anyone writes."""

_HABITS = [
    (re.compile(pattern), better)
    for pattern, better in (
        (r"(?<=\d)\s*(?:[‒—―−~]|\.\.\.?|--)\s*(?=\d)", "-"),  # stages 1—2, 1..2
        (r"(?<=\d)\s*[/&+]\s*(?=\d)", " and "),  # stages 1/2
        (r"\s*[;|]\s*", ", "),  # A in stages 1-2; B
        (r"=\s*\[([^][]*)\]", r"=(\1)"),  # b=[8,16,32,64]
        (r"(?<=\w)\s*\(((?:[^()]|\([^()]*\))*[=:](?:[^()]|\([^()]*\))*)\)", r" \1"),  # CADA(b=8, ca=3)
        (r"(?<=\w)\s*:\s*(?=[\w(.-])", "="),  # b: 8
        (r",\s*(?=\w+\s*=)", " "),  # b=8, ca=3
        (r"\s(\d+)\s*[x×]\s*\1\b", r" k=\1"),  # SepConv 7x7
        (r"\b[sS](?=\d\b)", ""),  # in S1-S2
        (r"\b(?:(?:in|for|at|on|from|of)\s+)?(?:the\s+)?stages?\s*[-_]?\s*(?=\d)", "in stages "),  # A for stages 1-2
        (r"\bin\s+(?=\d)", "in stages "),  # A in 1-2
        (r"\s+(?:and|then|&)\s+(?=[^\W\d])", ", "),  # A in stages 1-2 and B
        (r",\s*(?=,|$)", ""),  # A in stages 1-2,, B
    )
]


def rephrased(problem: Problem, file: File) -> Fix | None:
    """The whole text in the words of the grammar, where common habits are all that is wrong with it."""
    said = text_at(file.document, problem.where) if file.document else None
    if file.document is None or said is None:
        return None
    path, text, span = said
    better = rephrase(text) if span.line == span.end_line else ""
    return Fix(f"write {better}", (Edit(span, file.document.plain(path, better)),)) if better else None


def rephrase(text: str) -> str:
    """Notation that means what the text does; empty where that is not plain."""
    if len(text) > LONGEST:
        return ""
    better = text
    for pattern, instead in _HABITS:
        better = pattern.sub(instead, better)
    better = " ".join(better.split())
    try:
        parse(better)
    except NotationError:
        return ""
    return better if better != text else ""
