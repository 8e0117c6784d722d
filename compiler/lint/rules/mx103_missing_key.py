"""A key is missing.

What
    A spec needs `name`, `family` and `mixers`, and depths and widths or a named size.

Why
    Without it there is no network. The complaint stands at the first key of the mapping that lacks one.

Example
    Bad::

        name: small_s12
        family: metaformer
        mixers: SepConv

    Good::

        name: small_s12
        family: metaformer
        size: s12
        mixers: SepConv
"""

from __future__ import annotations

from ...errors import Problem
from ..file import File
from ..finding import Fix
from ..missing import supplied


def repair(problem: Problem, file: File) -> Fix | None:
    """Supply what the rest of the file tells: its name, the only family with such keys, the size in the name."""
    return supplied(problem, file)
