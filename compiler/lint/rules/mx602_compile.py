"""A mixer that torch.compile cannot take.

What
    `targets` asks for `compile`, and a mixer says that it cannot be compiled in one graph.

Why
    The graph would break in every block and the speed-up would be lost.

Example
    No shipped mixer: all compile in one graph. A mixer of your own says so in a class variable,
    `cannot: ClassVar = {"compile": "it branches on values"}`, and so for every other target.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..file import File
from ..portability import blocked


def check(file: File) -> Iterator[Problem]:
    """Every stage whose mixer stands in the way."""
    yield from blocked(file, "MX602", "compile")
