"""What backward keeps is what is counted: every family, with and without computing blocks or mixers again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from mixspec.compiler.bound import Bound
from mixspec.compiler.catalogue import load
from mixspec.compiler.checkpointing import Every
from mixspec.compiler.cost import count, recomputing
from mixspec.compiler.families import registry as families
from mixspec.compiler.lower import lower
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve

SPECS = {
    "convnext": "depths: [1, 2]\ndims: [32, 64]\nlayer_scale: 0.5",
    "cvt": "depths: [1, 1, 2]\ndims: [32, 64, 64]\nmixers: ConvAttention Ch=16",
    "ensemble": "members:\n- {family: resnet, size: 14, width: 16, variant: d, mixers: Conv}\n"
    "- {family: metaformer, depths: [1], dims: [32], mixers: SepConv}",
    "isotropic": "depths: [2]\nwidth: 32\npatch: 8\nmixers: attention Ch=8",
    "metaformer": "depths: [1, 1, 2]\ndims: [16, 24, 32]\nmixers: [SepConv, Hpx, attention Ch=8]",
    "resnet": "size: 14\nwidth: 16\nvariant: d\nmixers: [Conv, DAsp b=2 agg=3 Ch=4, CADAsp b=4 agg=5 Ch=4, DW k=5]",
    "resnet_cifar": "depths: [1, 2]\nwidth: 16\nmixers: Conv",
    "san": "depths: [1, 1]\ndims: [32, 64]\nmixers: SAN k=3 Ch=4",
    "swin": "depths: [2, 2]\ndims: [32, 64]\nmixers: window Ch=16",
    "timm": "model: resnet10t",
    "vgg": "depths: [1, 2]\ndims: [16, 32]\nmixers: Conv",
}
IMAGE = 64
every_family = pytest.mark.parametrize("family", sorted(families))
blocks = pytest.mark.parametrize("every", ["block", "mixer"])


def network(family: str, more: str = "") -> Network:
    return resolve(parse(f"name: x\nfamily: {family}\nimage: {IMAGE}\nclasses: 5\n{SPECS[family]}\n{more}"))


def kept_bytes(model: nn.Module, x: Tensor) -> int:
    """Memory that autograd holds after a forward pass, weights left out: every storage once."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    def note(_: nn.Module, given: tuple[Any, ...]) -> None:
        pack(given[0])  # what is computed again keeps its input elsewhere than where hooks see it

    handles = [part.register_forward_pre_hook(note) for part in again(model)]
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        y = model(x)
    total = sum(tensor.untyped_storage().nbytes() for at, tensor in kept.items() if at not in own)
    for handle in handles:
        handle.remove()
    del y
    return total


def again(model: nn.Module) -> list[Bound]:
    return [part for part in model.modules() if isinstance(part, Bound) and part.again]


def per_image(net: Network, every: Every | None = None) -> int:
    """For one image: filters do not grow with the batch, and batch norm cannot train on one."""
    torch.manual_seed(0)
    model = lower(net).train()
    if every:
        model.set_grad_checkpointing(every)
    c, height, width = net.at.c, net.at.h, net.at.w
    two, three = (kept_bytes(model, torch.randn(batch, c, height, width)) for batch in (2, 3))
    return 2 * two - three


def test_every_family_has_a_spec() -> None:
    assert sorted(SPECS) == sorted(families)


@every_family
def test_activation_bytes_are_what_autograd_keeps(family: str) -> None:
    net = network(family)
    measured = per_image(net)
    assert abs(count(net).activation_bytes - measured) <= 0.05 * measured


@blocks
@pytest.mark.parametrize("family", sorted(set(families) - {"timm"}))
def test_what_is_computed_again_is_not_kept(family: str, every: Every) -> None:
    net = network(family)
    kept, inside = recomputing(net.family, net.at, every)
    total = count(net, checkpoint=every).activation_bytes
    assert total == kept + inside and (total < count(net).activation_bytes or every == "mixer")
    measured = per_image(net, every)
    assert abs(kept - measured) <= 0.05 * measured, (kept, measured)


@blocks
@pytest.mark.parametrize("family", sorted(set(families) - {"timm"}))
def test_computing_again_changes_nothing(family: str, every: Every) -> None:
    torch.manual_seed(0)
    more = "" if family in ("ensemble", "vgg") else "drop_path: 0.3\n"
    model = lower(network(family, more)).train()
    other, x = copy.deepcopy(model), torch.randn(4, 3, IMAGE, IMAGE)
    other.set_grad_checkpointing(every)
    assert again(other) and not again(model)
    for each in (model, other):
        torch.manual_seed(1)
        each(x).square().mean().backward()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        if one.requires_grad:
            torch.testing.assert_close(two.grad, one.grad)
    for (name, one), (_, two) in zip(model.named_buffers(), other.named_buffers(), strict=True):
        assert torch.equal(one, two), f"{name}: statistics are counted once"
    other.set_grad_checkpointing(False)
    assert not again(other)


def test_the_network_that_ran_out_of_memory_in_the_paper_trains() -> None:
    """arXiv:2210.17141, section 5.1.1: CADAsp with Ch=2. With maps it keeps 474 MiB for an image, here 87."""
    net = resolve(load("resnet50d_cadasp_b32-256_ch2"))
    torch.manual_seed(0)
    model = lower(net).train()
    kept = kept_bytes(model, torch.randn(1, 3, 224, 224))
    assert kept <= 100 * 2**20
    assert kept == pytest.approx(count(net).activation_bytes, rel=0.05)
