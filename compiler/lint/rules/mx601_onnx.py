"""A mixer that cannot be exported to ONNX.

What
    `targets` asks for `onnx`, and a mixer does work that ONNX cannot express.

Why
    The export would fail, or give wrong values, after training.

Example
    No shipped mixer: `mixspec export --to onnx` writes all of them, Fourier transforms as matrices of real numbers. A
    mixer of your own says so in a class variable, `cannot: ClassVar = {"onnx": "it sorts positions"}`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..file import File
from ..portability import blocked


def check(file: File) -> Iterator[Problem]:
    """Every stage whose mixer stands in the way."""
    yield from blocked(file, "MX601", "onnx")
