"""ConvFormer, CAFormer and PoolFormerV2 as ``timm/models/metaformer.py`` lays them out (timm 1.0)."""

from __future__ import annotations

from ._layout import Layout

LAYOUT = Layout(
    (
        (r"\.token_mixer\.pwconv1", ".mixer.expand"),
        (r"\.token_mixer\.act1", ".mixer.act"),
        (r"\.token_mixer\.dwconv", ".mixer.spatial"),
        (r"\.token_mixer\.pwconv2", ".mixer.project"),
        (r"\.token_mixer\.", ".mixer."),
        (r"\.res_scale(\d)\.scale", r".scale\1"),
        (r"^head\.fc\.fc1", "head.fc1"),
        (r"^head\.fc\.norm", "head.fc1_norm"),
        (r"^head\.fc\.fc2", "head.fc"),
    )
)
