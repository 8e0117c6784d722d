"""Other than one value for each stage.

What
    A list such as `k=(3,5,7,9)` has one value for each stage of its clause, or of the network.

Why
    With one too few nobody can say which stage was meant.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=(3,5,7)

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=(3,5,7,7)
"""

from __future__ import annotations

from dataclasses import replace

from ...edits import Edit
from ...errors import Problem
from ...notation.grammar import NotationError, parse
from ..file import File
from ..finding import Fix
from ..rule import nearest


def repair(problem: Problem, file: File) -> Fix | None:
    """As many values as there are stages; of a list whose items say their stages, one text."""
    return nearest(problem, file) or _joined(problem, file)


def clarify(problem: Problem, fix: Fix | None) -> Problem:
    """The complaint with the text that a list stands for."""
    return problem if fix is None or problem.nearest else replace(problem, hint=fix.what)


def _joined(problem: Problem, file: File) -> Fix | None:
    value = file.document.data if file.document else None
    for step in problem.where:
        value = value.get(step) if isinstance(value, dict) else None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value) or problem.span is None:
        return None
    text = ", ".join(value)
    try:
        staged = any(clause.stages for clause in parse(text))
    except NotationError:
        return None
    if not staged or problem.span.line != problem.span.end_line or file.document is None:
        return None
    return Fix(f"write {text}", (Edit(problem.span, file.document.plain(problem.where, text)),))
