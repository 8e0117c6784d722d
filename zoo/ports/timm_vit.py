"""ViT and DeiT as ``timm/models/vision_transformer.py`` lays them out (timm 1.0).

The class token's row of ``pos_embed`` is a tensor of its own here, and the others form a map.
"""

from __future__ import annotations

import torch

from ._layout import Layout, State

EMBEDDING, TOKEN, PATCHES = "pos_embed", "pos_embed.token", "pos_embed.patches"


def _apart(theirs: State) -> State:
    pieces = dict(theirs)
    if EMBEDDING not in pieces:
        return pieces
    rows = pieces.pop(EMBEDDING)[0]
    if "cls_token" in pieces:
        pieces[TOKEN], rows = rows[0], rows[1:]
    return {**pieces, PATCHES: rows.T}


def _together(pieces: State, like: State) -> State:
    whole = {key: value for key, value in pieces.items() if key not in (TOKEN, PATCHES)}
    rows = pieces[PATCHES].T
    joined = torch.cat([pieces[TOKEN][None], rows]) if TOKEN in pieces else rows
    return {**whole, EMBEDDING: joined[None]} if EMBEDDING in like else whole


LAYOUT = Layout(
    (
        (r"^patch_embed\.proj", "stem.conv"),
        (r"^head\.", "head.fc."),
        (r"^norm\.", "head.norm."),
        (r"^cls_token$", "stages.0.token"),
        (rf"^{TOKEN}$", "stages.0.token_position"),
        (rf"^{PATCHES}$", "stem.position"),
        (r"^blocks", "stages.0.blocks"),
        (r"\.attn\.", ".mixer."),
    ),
    apart=_apart,
    together=_together,
    flat=frozenset({"stem.position"}),
)
