"""MLP-Mixer, ResMLP and gMLP as ``timm/models/mlp_mixer.py`` lays them out (timm 1.0). gMLP's MLP is our mixer."""

from __future__ import annotations

from ._layout import Layout, Renames

FRAME: Renames = (
    (r"^stem\.proj", "stem.conv"),
    (r"^head\.", "head.fc."),
    (r"^norm\.", "head.norm."),
    (r"^blocks", "stages.0.blocks"),
)

MIXER = Layout((*FRAME, (r"\.mlp_tokens\.", ".mixer."), (r"\.mlp_channels\.", ".mlp.")))
RESMLP = Layout(
    (
        *FRAME,
        (r"\.linear_tokens\.", ".mixer.fc."),
        (r"\.mlp_channels\.", ".mlp."),
        (r"\.alpha$", ".scale"),
        (r"\.beta$", ".shift"),
        (r"\.ls(\d)$", r".scale\1"),
    )
)
GMLP = Layout(
    (
        *FRAME,
        (r"(blocks\.\d+)\.norm\.", r"\1.norm1."),
        (r"\.mlp_channels\.gate\.norm", ".mixer.norm"),
        (r"\.mlp_channels\.gate\.proj", ".mixer.gate"),
        (r"\.mlp_channels\.", ".mixer."),
    )
)
