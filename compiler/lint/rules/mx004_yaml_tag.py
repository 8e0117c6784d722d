"""A YAML tag.

What
    A value or key carries a tag such as `!!float` or `!include`.

Why
    Tags make a YAML reader construct objects or read other files. A spec is data, complete on one page.

Example
    Bad::

        name: small
        family: metaformer
        size: !!str s12
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
from ..mend import line_of


def repair(problem: Problem, file: File) -> Fix | None:
    """Remove the tag and the space behind it."""
    span = problem.span
    if span is None or span.line != span.end_line:
        return None
    behind = line_of(file.text, span.line)[span.end_column - 1 : span.end_column]
    return Fix("remove the tag", (Edit(span._replace(end_column=span.end_column + (behind == " ")), ""),))
