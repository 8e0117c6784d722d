"""The box low-pass filter, for maps whose sides differ. arXiv:2210.17141, appendix A.3.1."""

from __future__ import annotations

from ._lowpass import LowPass


class Box(LowPass):
    """Keeps the waves whose frequency along each axis is at most a quarter of a cycle per position."""

    notation = "box"
    region = "box"
