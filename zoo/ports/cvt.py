"""CvT as github.com/microsoft/CvT lays it out (``lib/models/cls_cvt.py``)."""

from __future__ import annotations

from ._layout import Layout

LAYOUT = Layout(
    (
        (r"^stage0\.patch_embed\.proj", "stem.conv"),
        (r"^stage0\.patch_embed", "stem"),
        (r"^stage(\d)\.patch_embed\.proj", r"stages.\1.downsample.conv"),
        (r"^stage(\d)\.patch_embed", r"stages.\1.downsample"),
        (r"^stage(\d)\.cls_token", r"stages.\1.token"),
        (r"^stage(\d)", r"stages.\1"),
        (r"attn\.conv_proj_(.)\.conv", r"mixer.\1_conv"),
        (r"attn\.conv_proj_(.)\.bn", r"mixer.\1_norm"),
        (r"attn\.proj_(.)\.", r"mixer.\1_linear."),
        (r"attn\.proj", "mixer.proj"),
        (r"^norm", "head.norm"),
        (r"^head\.(weight|bias)", r"head.fc.\1"),
    )
)
