"""A published figure that is no number.

What
    Figures are written as printed: `28M`, `4.6G`, `25.58M`.

Why
    A figure that cannot be read cannot be compared, so a contradiction would pass.

Example
    Bad::

        name: small
        family: metaformer
        size: s18
        mixers: SepConv
        published:
          - source: HyenaPixel, arXiv:2402.19305v1, Table 1
            params: 28 million

    Good::

        name: small
        family: metaformer
        size: s18
        mixers: SepConv
        published:
          - source: HyenaPixel, arXiv:2402.19305v1, Table 1
            params: 27M
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..figures import printed
from ..file import File
from ..published import rows


def check(file: File) -> Iterator[Problem]:
    """Every params and flops that says nothing."""
    for index, row in rows(file):
        for key in ("params", "flops"):
            text = getattr(row, key)
            if text is not None and printed(text) is None:
                yield file.problem("MX404", f"{text!r} is no figure", "28M, 4.6G", ("published", index, key))
