"""An image size that the strides do not divide.

What
    The side of the image is no multiple of the network's total stride.

Why
    Maps are rounded up on the way, so borders are seen by fewer weights, and a decoder that doubles the maps again
    ends at another size.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        image: 225

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        image: 224
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...errors import Problem
from ..file import File

severity = "warning"
repairs = True


def check(file: File) -> Iterator[Problem]:
    """Complain about the side that does not fit."""
    if file.network is None or not file.has(("image",)) or not file.strides:
        return
    stride = file.strides[-1]
    for index, side in enumerate((file.network.at.h, file.network.at.w)):
        path = ("image", index) if file.has(("image", index)) else ("image",)
        if side % stride and (index == 0 or len(path) == 2):
            low, high = side // stride * stride, -(-side // stride) * stride
            near = sorted((size for size in (low, high) if size), key=lambda size: abs(size - side))
            hint = f"nearest: {', '.join(map(str, sorted(near)))}"
            problem = file.problem("MX207", f"{side} pixels are no multiple of the total stride {stride}", hint, path)
            yield replace(problem, nearest=tuple(map(str, near)))
