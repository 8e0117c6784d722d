"""HyenaPixel's released networks and operators, as github.com/spravil/HyenaPixel lays them out (2024).

``MODEL`` is for whole networks, those of Conv- and CAFormer there included; the others are for single operators.
"""

from __future__ import annotations

from ._layout import Layout, prefixes

HPX_KEYS = {
    "pointwise_conv": "pointwise",
    "depthwise_conv": "depthwise",
    "long_conv.z": "positions",
    "long_conv.bias": "skip",
    "long_conv.distance_map": "filter.distance",
    "long_conv.deltas": "filter.decay",
    "long_conv.shift": "filter.shift",
    "long_conv.implicit_filter.0": "filter.mlp.fc1",
    "long_conv.implicit_filter.1": "filter.mlp.sin1",
    "long_conv.implicit_filter.2": "filter.mlp.fc2",
    "long_conv.implicit_filter.3": "filter.mlp.sin2",
    "long_conv.implicit_filter.4": "filter.mlp.fc3",
    "qk_norm": "gate_norm",
    "out_proj": "project",
}
HYENA_KEYS = {
    "in_proj": "expand",
    "short_filter": "short",
    "filter_fn.bias": "skip",
    "filter_fn.pos_emb.z": "positions",
    "filter_fn.pos_emb.t": "filter.time",
    "filter_fn.modulation.deltas": "filter.decay",
    "filter_fn.implicit_filter.0": "filter.mlp.fc1",
    "filter_fn.implicit_filter.1": "filter.mlp.sin1",
    "filter_fn.implicit_filter.2": "filter.mlp.fc2",
    "filter_fn.implicit_filter.3": "filter.mlp.sin2",
    "filter_fn.implicit_filter.4": "filter.mlp.fc3",
    "filter_fn.implicit_filter.5": "filter.mlp.sin3",
    "filter_fn.implicit_filter.6": "filter.mlp.fc4",
    "qk_norm.0": "gate_norm",
    "out_proj": "project",
}
SEPCONV_KEYS = {"pwconv1": "expand", "act1": "act", "dwconv": "spatial", "pwconv2": "project"}
BLOCK_KEYS = {"res_scale1.scale": "scale1", "res_scale2.scale": "scale2"}
MIXER_KEYS = {**HYENA_KEYS, **HPX_KEYS, **SEPCONV_KEYS, "qkv": "qkv", "proj": "proj", "out_norm": "out_norm"}

HPX = Layout(prefixes(HPX_KEYS))
HYENA = Layout(prefixes(HYENA_KEYS))
SEPCONV = Layout(prefixes(SEPCONV_KEYS))
ATTENTION = Layout(())
BLOCK = Layout(prefixes(BLOCK_KEYS) + prefixes(MIXER_KEYS, r"token_mixer\.", "mixer."))
HEAD = Layout(prefixes({"norm": "fc1_norm", "fc2": "fc"}))
SAFARI = Layout(prefixes(HYENA_KEYS, r"m\."))
"""Hyena as github.com/HazyResearch/safari has it, wrapped once."""

MODEL = Layout(
    (
        (r"^downsample_layers\.0\.conv\.", "stem.conv."),
        (r"^downsample_layers\.0\.post_norm\.", "stem.norm."),
        (r"^downsample_layers\.(\d)\.pre_norm\.", r"stages.\1.downsample.norm."),
        (r"^downsample_layers\.(\d)\.conv\.", r"stages.\1.downsample.conv."),
        (r"^head\.norm\.", "head.fc1_norm."),
        (r"^norm\.", "head.norm."),
        (r"^head\.fc2\.", "head.fc."),
        (r"^stages\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2."),
        *prefixes(BLOCK_KEYS, r"(stages\.\d\.blocks\.\d+\.)", r"\1"),
        *prefixes(MIXER_KEYS, r"(stages\.\d\.blocks\.\d+\.)token_mixer\.", r"\1mixer."),
    )
)
