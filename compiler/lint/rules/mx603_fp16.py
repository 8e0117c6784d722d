"""A mixer that does not work in half precision.

What
    `targets` asks for `fp16`, and a mixer overflows or has no kernel there.

Why
    Training would diverge, or fail on the first batch. bfloat16 is often the way out.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: Hpx
        targets: [fp16]

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        targets: [fp16]
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..file import File
from ..portability import blocked


def check(file: File) -> Iterator[Problem]:
    """Every stage whose mixer stands in the way."""
    yield from blocked(file, "MX603", "fp16")
