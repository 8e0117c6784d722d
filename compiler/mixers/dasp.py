"""Decomposed attention without context, shared by all heads. arXiv:2210.17141, section 5.1."""

from __future__ import annotations

from ._mixture import Learnt


class DAsp(Learnt):
    """At every position all heads mix their base kernels by the same coefficients, learnt for that position."""

    notation = "DAsp"
    shared = True
