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

import re
from collections.abc import Iterator
from dataclasses import replace

from ...errors import Problem
from ..figures import printed
from ..file import File
from ..published import rows

repairs = True
_BEGINS = re.compile(r"\s*(\d[\d.,]*)\s*(million|billion|[kmbgt]?)(?![a-z]*\d)", re.IGNORECASE)
_UNITS = {"million": "M", "billion": "G"}


def check(file: File) -> Iterator[Problem]:
    """Every params and flops that says nothing."""
    for index, row in rows(file):
        for key in ("params", "flops"):
            text = getattr(row, key)
            if text is not None and printed(text) is None:
                problem = file.problem("MX404", f"{text!r} is no figure", "28M, 4.6G", ("published", index, key))
                yield replace(problem, nearest=_figure(text))


def _figure(text: str) -> tuple[str, ...]:
    """The figure that a text begins with: ``28M`` of ``28 million``, ``4.6G`` of ``4.6 GFLOPs``."""
    found = _BEGINS.match(text)
    figure = f"{found[1]}{_UNITS.get(found[2].lower(), found[2])}" if found else ""
    return (figure,) if figure and printed(figure) else ()
