"""A key given twice.

What
    One mapping holds the same key two times.

Why
    Most YAML readers keep the last and drop the first without a word, so that a setting seems to have no effect.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        size: s12
        mixers: SepConv

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""

from __future__ import annotations

from ...edits import Edit
from ...errors import Problem
from ..file import File
from ..finding import Fix
from ..mend import entry


def repair(problem: Problem, file: File) -> Fix | None:
    """Remove the second. That is safe where it is a line of its own that says the same as the first."""
    if problem.span is None or (span := entry(file.text, problem.span)) is None:
        return None
    return Fix("remove the second", (Edit(span, ""),), safe=_repeated(file, span.line, problem.span.column))


def _repeated(file: File, line: int, column: int) -> bool:
    lines = [row.strip() for row in file.text.splitlines()]
    return column == 1 and lines.count(lines[line - 1]) > 1
