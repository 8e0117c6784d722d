"""Strides that segmentation libraries do not take.

What
    The maps after the stages are not 4, 8, 16, 32 times smaller than the image, nor 2, 4, 8, ... or 1, 2, 4, ..., or
    there is one map size only.

Why
    Decoders (U-Net, FPN) of segmentation_models_pytorch and torchvision expect maps that halve from stage to stage.
    Classification works all the same.

Example
    Nothing to show: it is about the file, not about a line of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from ...errors import Problem
from ..file import File

severity = "info"


def check(file: File) -> Iterator[Problem]:
    """Complain about the family's strides, at its name."""
    if what := unusual(file.strides):
        yield file.problem("MX208", what, "decoders take 4, 8, 16, 32 and other runs that double", ("family",))


def unusual(strides: Sequence[int]) -> str:
    """What is unusual about the strides of the maps; empty if decoders take them, or nothing is known of them."""
    doubling = all(after == 2 * before for before, after in pairwise(strides))
    if len(strides) == 1:
        return f"maps of one size, {strides[0]} times smaller than the image"
    if strides and (not doubling or strides[0] not in (1, 2, 4)):
        return f"maps of strides {', '.join(map(str, strides))}"
    return ""
