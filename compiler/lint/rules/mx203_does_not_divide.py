"""A size that does not divide the channels.

What
    Heads and groups split the channels evenly, so their size divides the number of channels of every stage they
    stand in.

Why
    The reshape would fail in the forward pass. The complaint gives the shape that was inferred there and the
    nearest sizes that fit all the stages concerned.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: attention Ch=24

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: attention Ch=32
"""

from __future__ import annotations

import re

from ...edits import Edit
from ...errors import Problem
from ...positions import text_at
from ..file import File
from ..finding import Fix
from ..mend import line_of
from ..rule import nearest

_KEY = re.compile(r"(\w+)=")


def repair(problem: Problem, file: File) -> Fix | None:
    """The nearest value in place of the wrong one, or behind the operator's name where that has its default."""
    fix = nearest(problem, file)
    if fix is None or problem.span is None:
        return None
    said = line_of(file.text, problem.span.line)[problem.span.column - 1 : problem.span.end_column - 1]
    if said.isdecimal():
        return fix
    key = _KEY.search(problem.what)
    if key is None or file.document is None or text_at(file.document, problem.where) is None:
        return None  # the value is the default of a typed form, whose entry is not here to change
    better = f"{said} {key[0]}{problem.nearest[0]}"
    return Fix(f"write {better}", (Edit(problem.span, better),))
