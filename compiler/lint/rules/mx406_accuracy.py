"""An accuracy that is no percentage.

What
    top1 and top5 are percentages between 1 and 100, and top5 is not below top1.

Why
    A fraction (0.836) or two exchanged numbers would spoil every table made from the specs.

Example
    Bad::

        name: small
        family: metaformer
        size: s18
        mixers: SepConv
        published:
          - source: HyenaPixel, arXiv:2402.19305v1, Table 1
            top1: 0.836

    Good::

        name: small
        family: metaformer
        size: s18
        mixers: SepConv
        published:
          - source: HyenaPixel, arXiv:2402.19305v1, Table 1
            top1: 83.6
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...errors import Problem
from ...spec import Published
from ..file import File
from ..published import rows

repairs = True


def check(file: File) -> Iterator[Problem]:
    """Every accuracy out of its range."""
    for index, row in rows(file):
        yield from _row(file, index, row)


def _row(file: File, index: int, row: Published) -> Iterator[Problem]:
    for key in ("top1", "top5"):
        value = getattr(row, key)
        if value is not None and not 1 <= value <= 100:
            problem = file.problem("MX406", f"{key} of {value}", "percent, as in 83.6", ("published", index, key))
            better = (f"{value * 100:.10g}",) if 0 < value < 1 else ()
            yield replace(problem, nearest=better)
    if row.top1 is not None and row.top5 is not None and row.top5 < row.top1:
        what = f"top5 of {row.top5} below top1 of {row.top1}"
        yield file.problem("MX406", what, "top5 counts every top1 hit", ("published", index, "top5"))
