"""The depth-wise networks of "Demystifying Local Vision Transformer", as github.com/Atten4Vis/DemystifyLocalViT lays
them out. A stage there ends with the patch merging that opens the next one here.
"""

from __future__ import annotations

import re

from ._layout import Layout, Renames


def _merging(match: re.Match[str]) -> str:
    return f"stages.{int(match[1]) + 1}.downsample"


FRAME: Renames = (
    (r"^layers\.(\d+)\.downsample", _merging),
    (r"^layers", "stages"),
    (r"^patch_embed\.proj", "stem.conv"),
    (r"^patch_embed\.norm", "stem.norm"),
    (r"^norm\.", "head.norm."),
    (r"^head\.(weight|bias)", r"head.fc.\1"),
    (r"(blocks\.\d+)\.bn\.", r"\1.channel.norm."),
    (r"(blocks\.\d+)\.mlp", r"\1.channel.mlp"),
    (r"attn2conv\.conv0", "spatial.pre"),
    (r"attn2conv\.bn0", "spatial.pre_norm"),
    (r"attn2conv\.bn\.", "spatial.norm."),
    (r"attn2conv\.conv2", "spatial.post"),
    (r"attn2conv\.bn2", "spatial.post_norm"),
)

DW = Layout((*FRAME, (r"attn2conv\.conv\.", "spatial.mixer.conv.")))
DDW = Layout(
    (
        *FRAME,
        (r"attn2conv\.conv\.conv1", "spatial.mixer.reduce"),
        (r"attn2conv\.conv\.conv2", "spatial.mixer.span"),
        (r"attn2conv\.conv\.bn", "spatial.mixer.norm"),
        (r"attn2conv\.conv\.", "spatial.mixer."),
    )
)
IDYNAMIC = Layout(
    (
        *FRAME,
        (r"attn2conv\.conv\.conv1\.0", "spatial.mixer.reduce"),
        (r"attn2conv\.conv\.conv1\.1", "spatial.mixer.norm"),
        (r"attn2conv\.conv\.conv2\.0", "spatial.mixer.span"),
    )
)
