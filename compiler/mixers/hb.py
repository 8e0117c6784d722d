"""Bidirectional Hyena: a gated convolution over all tokens, before and behind. arXiv:2402.19305, section 3."""

from __future__ import annotations

from ..init import Table
from ._filters import centred_embedding, time_from_centre
from ._sequence import SequenceMixer


class Hb(SequenceMixer):
    """c0 * g(c1 * c2) on the flattened map, with a filter of 2 L - 1 taps centred on every token."""

    notation = "Hb"
    causal = False

    def tables(self) -> tuple[Table, Table]:
        return Table(centred_embedding), Table(time_from_centre)
