"""CADA with shared parameters: all heads mix their kernels by the same coefficients. arXiv:2210.17141, section 3."""

from __future__ import annotations

from ._mixture import Predicted


class CADAsp(Predicted):
    """At every position each head mixes its base kernels by coefficients that all share, read from all channels."""

    notation = "CADAsp"
    shared = True
