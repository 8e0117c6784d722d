"""A limit that is no number.

What
    Limits are numbers, with k, M, G or T behind them, or KiB, MiB, GiB for bytes.

Why
    A limit that cannot be read limits nothing.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        budget: {max_params: thirty}

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        budget: {max_params: 30M}
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..budget import KEYS
from ..figures import amount
from ..file import File


def check(file: File) -> Iterator[Problem]:
    """Every limit of the spec that says nothing."""
    if file.about is None or file.about.budget is None:
        return
    for key in KEYS:
        limit = getattr(file.about.budget, key)
        if limit is not None and amount(limit) is None:
            what = f"{key} {limit!r} is no number"
            yield file.problem("MX304", what, "30M, 4.5G, 512MiB, 26000000", ("budget", key))
