"""Notation that is not written the usual way.

What
    The same plan has one shortest spelling: operators' names as the papers write them, the paper's letters for
    parameters, in the operator's order, a hyphen for ranges.

Why
    Two spellings of one network look like two networks in a review. `mixspec fmt` writes this one.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: sepconv  kernel=3

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=3
"""

from __future__ import annotations

from collections.abc import Iterator

from ...edits import Edit
from ...errors import Problem
from ...fmt import notation
from ..file import File
from ..finding import Fix

severity = "warning"
safe = True


def check(file: File) -> Iterator[Problem]:
    """Every value that holds notation and is written otherwise."""
    if file.document is None or file.judged.spec is None or file.judged.problems:
        return
    for path, span, text in notation(file.document, type(file.judged.spec.family), file.stages):
        yield Problem("MX501", "not the usual notation", f"write {text}", path, span, file.source, nearest=(text,))


def repair(problem: Problem, file: File) -> Fix | None:
    """The shortest notation in the same quotes; it means the same."""
    if problem.span is None or problem.span.line != problem.span.end_line:
        return None
    return Fix(f"write {problem.nearest[0]}", (Edit(problem.span, problem.nearest[0]),), safe=True)
