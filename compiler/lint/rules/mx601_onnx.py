"""A mixer that cannot be exported to ONNX.

What
    `targets` asks for `onnx`, and a mixer does work that ONNX cannot express.

Why
    The export would fail, or give wrong values, after training.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: Hpx
        targets: [onnx]

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        targets: [onnx]
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..file import File
from ..portability import blocked


def check(file: File) -> Iterator[Problem]:
    """Every stage whose mixer stands in the way."""
    yield from blocked(file, "MX601", "onnx")
