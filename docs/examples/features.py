"""A network's maps through timm, by list and by module, and through torch.export and ONNX.

python docs/examples/features.py swin_t
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import timm
import torch
from torch import Tensor

import mixspec
import mixspec.zoo.timm_bridge  # registers the names with timm
from mixspec.zoo.export import Exported, Format, export


def maps(model: str, image: int = 224) -> list[Tensor]:
    """The maps of all levels, in front of any head."""
    network = timm.create_model(model, features_only=True).eval()
    with torch.no_grad():
        return network(torch.randn(2, 3, image, image))


def vector(model: str, image: int = 224) -> Tensor:
    """The vector in front of the classifier, for retrieval or a classifier of one's own."""
    network = timm.create_model(model, num_classes=0).eval()
    with torch.no_grad():
        return network(torch.randn(2, 3, image, image))


def exported(model: str, to: Format) -> Exported:
    """The network as an ONNX file or a program of torch.export, which is run and compared."""
    with TemporaryDirectory() as folder:
        return export(mixspec.build(model).eval(), Path(folder) / f"network.{to}", to)


if __name__ == "__main__":
    name = (sys.argv[1:2] or ["swin_t"])[0]
    print([tuple(each.shape) for each in maps(name)], tuple(vector(name).shape))
    print(exported(name, "pt2"), exported(name, "onnx"))
