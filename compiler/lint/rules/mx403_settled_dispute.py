"""A dispute about figures that agree.

What
    `disputed` says that the printed figures cannot all hold, and they do.

Why
    An excuse that outlives its reason hides the next contradiction.

Example
    Bad::

        name: small
        family: metaformer
        size: s18
        mixers: SepConv
        published:
          - source: HyenaPixel, arXiv:2402.19305v1, Table 1
            params: 27M
            disputed: the table contradicts the text

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
from ...spec import Published
from ..file import File
from ..published import figures, flops, params, rows

severity = "warning"


def check(file: File) -> Iterator[Problem]:
    """Disputes of rows whose params and flops are both stated and both agree."""
    for index, row in rows(file):
        if row.disputed and figures(row) and file.cost and not any(_contradictions(file, index, row)):
            where = ("published", index, "disputed")
            yield file.problem(
                "MX403", "the printed figures agree with the network", "remove `disputed`", where, key=True
            )


def _contradictions(file: File, index: int, row: Published) -> Iterator[Problem]:
    yield from params(file, index, row)
    yield from flops(file, index, row)
