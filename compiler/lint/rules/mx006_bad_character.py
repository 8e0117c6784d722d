"""A character a spec may not hold.

What
    Control characters, NUL, bytes that are not UTF-8, Unicode line separators, lone surrogates.

Why
    They cannot be seen, break other tools, and a terminal obeys some of them.

Example
    Nothing to show: it is about the file, not about a line of it.
"""

from __future__ import annotations

from ...edits import Edit
from ...errors import Problem
from ..file import File
from ..finding import Fix


def repair(problem: Problem, file: File) -> Fix | None:
    """Remove the character. What stood for a whole file, or in an escape, is left to its author."""
    span = problem.span
    single = span is not None and span.line == span.end_line and span.end_column == span.column + 1
    return Fix("remove the character", (Edit(span, ""),)) if span and single and "byte" not in problem.what else None
