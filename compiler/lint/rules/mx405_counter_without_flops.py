"""A counter without a figure.

What
    `counter` names the tool that `flops` come from, and there are no flops.

Why
    One of the two was forgotten.

Example
    Bad::

        name: small
        family: metaformer
        size: s18
        mixers: SepConv
        published:
          - source: HyenaPixel, arXiv:2402.19305v1, Table 1
            counter: fvcore

    Good::

        name: small
        family: metaformer
        size: s18
        mixers: SepConv
        published:
          - source: HyenaPixel, arXiv:2402.19305v1, Table 1
            flops: 3.9G
            counter: macs
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..file import File
from ..published import rows

severity = "warning"


def check(file: File) -> Iterator[Problem]:
    """Rows that name a counter and print no flops."""
    for index, row in rows(file):
        if row.flops is None and file.has(("published", index, "counter")):
            where = ("published", index, "counter")
            yield file.problem("MX405", "counter without flops", "add the printed flops", where, key=True)
