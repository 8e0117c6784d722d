"""More activation memory than the budget allows.

What
    The bytes that training keeps for the backward pass of one image, in float32, are above `max_activation_bytes`.

Why
    Times the batch size this is what fills the accelerator; it is better known before the job is queued.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        budget: {max_activation_bytes: 16MiB}

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        budget: {max_activation_bytes: 512MiB}
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..budget import over
from ..file import File


def check(file: File) -> Iterator[Problem]:
    """Compare the exact activation bytes with the limit."""
    yield from over(file, "MX303", "max_activation_bytes", "activation_bytes", "activation bytes")
