"""Context-aware decomposed attention: kernels mixed from a bank, by coefficients of each head. arXiv:2210.17141."""

from __future__ import annotations

from ._mixture import Predicted


class CADA(Predicted):
    """At every position each head mixes its base kernels by coefficients predicted from its own channels around it."""

    notation = "CADA"
    shared = False
