"""White space that shows in every diff.

What
    Spaces at the end of a line, blank lines at the end of the file, no line end behind the last line, or Windows
    line ends.

Why
    Editors change them on their own, and the change hides the one that matters. `mixspec fmt` removes them.

Example
    Nothing to show: it is about what cannot be seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ...fmt import layout
from ..file import File
from ..finding import Fix

severity = "warning"
safe = True


def check(file: File) -> Iterator[Problem]:
    """Every piece of white space that `fmt` would remove."""
    if file.document is not None and not file.reading.problems:
        for what, edits in layout(file.document):
            yield Problem("MX504", what, "run `mixspec fmt`", (), edits[0].span, file.source)


def repair(problem: Problem, file: File) -> Fix | None:
    """What `fmt` would do about it."""
    groups = layout(file.document) if file.document else []
    edits = next((edits for what, edits in groups if what == problem.what and edits[0].span == problem.span), ())
    return Fix("tidy", edits, safe=True)
