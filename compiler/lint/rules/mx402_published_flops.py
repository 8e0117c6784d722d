"""Published work that the network does not have.

What
    The figure a paper prints differs from what the named counter gives, rounded to the figure's last digit.

Why
    Papers count with different tools: `counter` names the one (macs, fvcore, ptflops-san, elementwise). If none
    fits, the spec is another network, or the paper contradicts itself; then say how, under `disputed`.

Example
    Bad::

        name: small
        family: metaformer
        size: s18
        mixers: SepConv
        published:
          - source: HyenaPixel, arXiv:2402.19305v1, Table 1
            flops: 4.6G

    Good::

        name: small
        family: metaformer
        size: s18
        mixers: SepConv
        published:
          - source: HyenaPixel, arXiv:2402.19305v1, Table 1
            flops: 3.9G
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..file import File
from ..published import flops, rows

repairs = True


def check(file: File) -> Iterator[Problem]:
    """Every printed figure against the exact count under its counter, disputed rows left out."""
    for index, row in rows(file):
        if not row.disputed:
            yield from flops(file, index, row)
