"""Hyena of order 2: a gated convolution over the tokens before. arXiv:2302.10866, section 3."""

from __future__ import annotations

from pydantic import Field

from ..init import Table
from ._filters import causal_embedding, time_from_newest, time_to_oldest
from ._sequence import SequenceMixer


class Hyena(SequenceMixer):
    """c0 * g(c1 * c2) on the flattened map, each token seeing itself and those before it."""

    notation = "Hyena"
    causal = True

    inverted: bool = Field(
        False, description="damp new tokens most, as HyenaPixel's code does; Equation 2 damps old ones"
    )

    def tables(self) -> tuple[Table, Table]:
        return Table(causal_embedding), Table(time_to_oldest if self.inverted else time_from_newest)
