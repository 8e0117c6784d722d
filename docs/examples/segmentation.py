"""A network as encoder of segmentation_models_pytorch: a U-Net and UPerNet learn one step.

python docs/examples/segmentation.py hpxformer_s12
"""

from __future__ import annotations

import sys

import segmentation_models_pytorch as smp
import timm
import torch

import mixspec.zoo.timm_bridge  # noqa: F401  registers the names with timm

WIDTHS = (64, 32, 32, 16, 16)


def step(decoder: str, model: str, image: int = 224) -> float:
    """One step of a decoder, `Unet` or `UPerNet`, on random images; the loss in front of it."""
    strides = timm.create_model(model, features_only=True).feature_info.reduction()
    # a pyramid that starts at stride 4 leaves level 1 empty, and one that starts at 1 has the image as a level
    depth = len(strides) + {1: -1, 4: 1}.get(strides[0], 0)
    widths = {"decoder_channels": WIDTHS[-depth:]} if decoder == "Unet" else {}
    network = smp.create_model(decoder, f"tu-{model}", encoder_weights=None, encoder_depth=depth, classes=2, **widths)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    images, masks = torch.randn(2, 3, image, image), torch.randint(2, (2, image, image))
    loss = torch.nn.functional.cross_entropy(network(images), masks)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


if __name__ == "__main__":
    for name in ("Unet", "UPerNet"):
        print(f"{name}: loss {step(name, *sys.argv[1:2] or ['hpxformer_s12']):.3f}")
