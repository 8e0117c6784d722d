"""A spec that names no source.

What
    There is neither a `published` row nor a `description`.

Why
    A reader cannot tell a paper's network from an experiment.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        description: PoolFormer's frame with separable convolutions
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..file import File

severity = "info"


def check(file: File) -> Iterator[Problem]:
    """At the name."""
    if file.network is not None and file.about and not file.about.published and not file.about.description:
        hint = "add `published` with its source, or a `description`"
        yield file.problem("MX503", "no source", hint, ("name",))
