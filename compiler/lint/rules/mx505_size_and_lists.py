"""A named size beside the lists it stands for.

What
    The spec gives `size` and also `depths` or `dims`.

Why
    The lists win, and the size's name then says something that is not so.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        depths: [1, 1, 1, 1]

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""

from __future__ import annotations

from collections.abc import Iterator

from ...edits import Edit
from ...errors import Problem
from ..file import File
from ..finding import Fix
from ..mend import entry

severity = "warning"


def check(file: File) -> Iterator[Problem]:
    """At the size."""
    lists = [key for key in ("depths", "dims") if file.has((key,))]
    if file.has(("size",)) and lists and file.judged.spec is not None:
        what = f"size beside {' and '.join(lists)}"
        yield file.problem("MX505", what, "write the size, or both lists", ("size",), key=True)


def repair(problem: Problem, file: File) -> Fix | None:
    """Without the size, where both lists are there."""
    span = entry(file.text, problem.span) if problem.span else None
    both = file.has(("depths",)) and file.has(("dims",))
    return Fix("remove the size", (Edit(span, ""),)) if both and span else None
