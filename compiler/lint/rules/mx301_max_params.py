"""More parameters than the budget allows.

What
    The exact number of parameters is above `max_params`, from the spec's `budget` or from pyproject.toml.

Why
    A limit that is written down holds when someone changes a width half a year later.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        budget: {max_params: 10M}

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        budget: {max_params: 30M}
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..budget import over
from ..file import File


def check(file: File) -> Iterator[Problem]:
    """Compare the exact parameters with the limit."""
    yield from over(file, "MX301", "max_params", "params", "parameters")
