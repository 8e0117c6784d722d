"""Published parameters that the network does not have.

What
    The figure a paper prints differs from the exact count, rounded to the figure's last digit.

Why
    Either the spec is not the paper's network or the paper contradicts itself. In the second case say how, under
    `disputed`.

Example
    Bad::

        name: small
        family: metaformer
        size: s18
        mixers: SepConv
        published:
          - source: HyenaPixel, arXiv:2402.19305v1, Table 1
            params: 28M

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
from ..file import File
from ..published import params, rows


def check(file: File) -> Iterator[Problem]:
    """Every printed figure against the exact count, disputed rows left out."""
    for index, row in rows(file):
        if not row.disputed:
            yield from params(file, index, row)
