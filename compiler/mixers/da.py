"""Decomposed attention without context: CADA with learnt coefficients. arXiv:2210.17141, section 5.1."""

from __future__ import annotations

from ._mixture import Learnt


class DA(Learnt):
    """At every position each head mixes its base kernels by coefficients learnt for that position and head."""

    notation = "DA"
    shared = False
