"""A mixer that is bound to its image size.

What
    `targets` asks for `any_size`, and a mixer's weights depend on the size of the map.

Why
    Detection and segmentation feed images of other sizes; the network would fail there.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: local
        targets: [any_size]

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: window
        targets: [any_size]
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..file import File
from ..portability import blocked


def check(file: File) -> Iterator[Problem]:
    """Every stage whose mixer stands in the way."""
    yield from blocked(file, "MX604", "any_size")
