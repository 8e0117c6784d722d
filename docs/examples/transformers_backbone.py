"""A network in transformers: as a backbone that gives maps, and as an image classifier.

python docs/examples/transformers_backbone.py hpxformer_s12
"""

from __future__ import annotations

import sys

import timm
import torch
from torch import Tensor
from transformers import TimmBackbone, TimmBackboneConfig, TimmWrapperConfig, TimmWrapperForImageClassification

import mixspec.zoo.timm_bridge  # noqa: F401  registers the names with timm


def maps(model: str, image: int = 224) -> tuple[Tensor, ...]:
    """The maps of all levels of a network with random images."""
    levels = timm.create_model(model, features_only=True).out_indices
    config = TimmBackboneConfig(backbone=model, out_indices=tuple(levels), features_only=True)
    backbone = TimmBackbone(config).eval()
    with torch.no_grad():
        return backbone(torch.randn(2, 3, image, image)).feature_maps


def logits(model: str, image: int = 224, classes: int = 5) -> Tensor:
    """What a classifier says of random images. The architecture is timm's name, its arguments go along."""
    source, _, folder = model.partition(":")
    told = {"architecture": model}
    if source == "local-dir":  # a folder written by mixspec.zoo.timm_config: the name and arguments are in its config
        import json
        from pathlib import Path

        config = json.loads(Path(folder, "config.json").read_text())
        told = {"architecture": config["architecture"], "model_args": {"spec": config["model_args"]["spec"]}}
    labels = {"num_labels": classes, "label_names": [f"class {index}" for index in range(classes)]}
    network = TimmWrapperForImageClassification(TimmWrapperConfig(**told, **labels)).eval()
    with torch.no_grad():
        return network(torch.randn(2, 3, image, image)).logits


if __name__ == "__main__":
    name = (sys.argv[1:2] or ["hpxformer_s12"])[0]
    print([tuple(each.shape) for each in maps(name)])
    print(tuple(logits(name).shape))
