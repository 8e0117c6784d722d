"""A network as backbone of torchvision's Faster R-CNN, with a feature pyramid: one training step.

python docs/examples/detection.py resnet50d_cadasp_k9_b128
"""

from __future__ import annotations

import sys
from collections import OrderedDict

import timm
import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign

import mixspec.zoo.timm_bridge  # noqa: F401  registers the names with timm


class Pyramid(nn.Module):
    """Maps of all levels with the same channels, as torchvision's detectors read them."""

    def __init__(self, model: str, channels: int = 64) -> None:
        super().__init__()
        self.body = timm.create_model(model, features_only=True)
        self.pyramid = FeaturePyramidNetwork(self.body.feature_info.channels(), channels)
        self.out_channels = channels

    def forward(self, x: Tensor) -> OrderedDict[str, Tensor]:
        maps = self.body(x)
        return self.pyramid(OrderedDict((str(level), each) for level, each in enumerate(maps)))


def detector(model: str, image: int) -> FasterRCNN:
    """Faster R-CNN that resizes to the image size the network is for: any other would do where its size is free."""
    backbone = Pyramid(model)
    levels = [str(level) for level, _ in enumerate(backbone.body.feature_info.channels())]
    sizes = tuple((8 * 2**level,) for level, _ in enumerate(levels))
    return FasterRCNN(
        backbone,
        num_classes=3,
        rpn_anchor_generator=AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(levels)),
        box_roi_pool=MultiScaleRoIAlign(levels, output_size=7, sampling_ratio=2),
        fixed_size=(image, image),
        rpn_pre_nms_top_n_train=50,
        rpn_post_nms_top_n_train=20,
    )


def step(model: str, image: int = 224) -> float:
    """One training step on random images with one box each; the loss in front of it."""
    network = detector(model, image).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    half = image / 2
    box = {"boxes": torch.tensor([[0.0, 0.0, half, half]]), "labels": torch.tensor([1])}
    losses = network([torch.rand(3, image, image) for _ in range(2)], [box, box])
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    optimizer.step()
    return float(total.detach())


if __name__ == "__main__":
    print(f"loss {step(*sys.argv[1:2] or ['resnet50d_cadasp_k9_b128']):.3f}")
