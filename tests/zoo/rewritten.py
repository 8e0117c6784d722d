"""Weights files, changed."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def rewritten(
    path: Path, facts: dict[str, str | None] | None = None, tensors: dict[str, torch.Tensor] | None = None
) -> Path:
    """The file with some of its header or its tensors exchanged."""
    with safe_open(path, "pt") as opened:
        old = opened.metadata()
    if tensors is not None:
        del old["tensors_sha256"]
    kept = {key: value for key, value in {**old, **(facts or {})}.items() if value is not None}
    save_file(load_file(path) if tensors is None else tensors, path, kept)
    return path
