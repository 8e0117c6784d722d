"""Text that is not notation.

What
    An operator is written `NAME key=value ...`, a plan `A in stages 1-2, B in stages 3-4`.

Why
    What cannot be read cannot be built.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k 3

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=3
"""

from __future__ import annotations

from dataclasses import replace

from ...errors import Problem
from ..file import File
from ..finding import Fix
from ..rephrase import rephrased
from ..rule import nearest


def repair(problem: Problem, file: File) -> Fix | None:
    """What could stand at the place of the mistake, or the whole text in the words of the grammar."""
    return nearest(problem, file) or rephrased(problem, file)


def clarify(problem: Problem, fix: Fix | None) -> Problem:
    """The complaint with the whole text as it would be right."""
    return problem if fix is None or problem.nearest else replace(problem, hint=fix.what)
