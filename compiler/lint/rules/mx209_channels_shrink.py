"""A stage with fewer channels than the one before.

What
    The list `dims` falls from one stage to the next.

Why
    Backbones widen as the map shrinks. A list that falls is nearly always two numbers exchanged.

Example
    Bad::

        name: small
        family: metaformer
        depths: [2, 2, 6, 2]
        dims: [64, 320, 128, 512]
        mixers: SepConv

    Good::

        name: small
        family: metaformer
        depths: [2, 2, 6, 2]
        dims: [64, 128, 320, 512]
        mixers: SepConv
"""

from __future__ import annotations

from collections.abc import Iterator

from ...edits import Edit
from ...errors import Problem
from ..file import File
from ..finding import Fix

severity = "warning"


def check(file: File) -> Iterator[Problem]:
    """Complain about the smaller number."""
    dims = file.document.data.get("dims") if file.document and isinstance(file.document.data, dict) else None
    if not isinstance(dims, list) or not all(type(width) is int and width > 0 for width in dims):
        return
    for stage in range(1, len(dims)):
        if dims[stage] < dims[stage - 1]:
            what = f"stage {stage + 1}: {dims[stage]} channels after {dims[stage - 1]}"
            yield file.problem("MX209", what, "dims rise from stage to stage", ("dims", stage))


def repair(problem: Problem, file: File) -> Fix | None:
    """The widths in order of size."""
    assert file.document is not None and isinstance(file.document.data, dict)
    dims = file.document.data["dims"]
    places = [file.span(("dims", stage)) for stage in range(len(dims))]
    edits = [
        Edit(span, str(width)) for span, width, now in zip(places, sorted(dims), dims, strict=True) if width != now
    ]
    return Fix("put dims in order", tuple(edits))
