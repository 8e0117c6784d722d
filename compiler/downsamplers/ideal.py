"""The ideal low-pass filter: no frequency is left that sampling would fold. arXiv:2210.17141, appendix A.3.1."""

from __future__ import annotations

from ._lowpass import LowPass


class Ideal(LowPass):
    """Keeps the waves whose frequency, of whatever direction, is at most a quarter of a cycle per position."""

    notation = "ideal"
    region = "disc"
