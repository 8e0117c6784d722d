"""Strides that segmentation libraries do not take.

What
    The maps after the stages are not 4, 8, 16, 32 times smaller than the image, nor 2, 4, 8, ... or 1, 2, 4, ...

Why
    Decoders (U-Net, FPN) of segmentation_models_pytorch and torchvision expect maps that halve from stage to stage.
    Classification works all the same.

Example
    Nothing to show: it is about the file, not about a line of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ...errors import Problem
from ..file import File

severity = "info"


def check(file: File) -> Iterator[Problem]:
    """Complain about the family's strides, at its name; a network of one stage has no pattern."""
    found = file.strides
    doubling = all(after == 2 * before for before, after in pairwise(found))
    if len(found) > 1 and (not doubling or found[0] not in (1, 2, 4)):
        what = f"maps of strides {', '.join(map(str, found))}"
        yield file.problem("MX208", what, "decoders take 4, 8, 16, 32 and other runs that double", ("family",))
