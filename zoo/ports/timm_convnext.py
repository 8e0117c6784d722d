"""ConvNeXt as ``timm/models/convnext.py`` lays it out (timm 1.0)."""

from __future__ import annotations

from ._layout import Layout

LAYOUT = Layout(
    (
        (r"^stem\.0", "stem.conv"),
        (r"^stem\.1", "stem.norm"),
        (r"downsample\.0", "downsample.norm"),
        (r"downsample\.1", "downsample.conv"),
        (r"conv_dw", "mixer.conv"),
        (r"gamma$", "scale"),
    )
)
