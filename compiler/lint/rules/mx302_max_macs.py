"""More multiply-adds than the budget allows.

What
    The exact multiply-adds for one image are above `max_macs`, from the spec's `budget` or from pyproject.toml.

Why
    Latency on the device was measured for a budget; this keeps the network inside it.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        budget: {max_macs: 1G}

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        budget: {max_macs: 3G}
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..budget import over
from ..file import File


def check(file: File) -> Iterator[Problem]:
    """Compare the exact multiply-adds with the limit."""
    yield from over(file, "MX302", "max_macs", "macs", "multiply-adds")
