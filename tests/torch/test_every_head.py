"""What holds for every head with its classifier. The folder is walked, so a new file is tested without an edit here."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.head import Classifier, Head
from mixspec.compiler.heads import registry
from mixspec.compiler.lower import lower_layer

AT = Grid(5, 6, 64)
SLACK = 1024
"""Bytes by which counted and kept activations may differ beside the 5 %."""

every_head = pytest.mark.parametrize("name", sorted(registry))


def classifier(name: str) -> Classifier:
    head: Head = registry[name]()
    assert not list(head.check(AT))
    return Classifier(head, 10, 0.0)


def maps(batch: int) -> torch.Tensor:
    x = torch.randn(batch, AT.c, AT.h, AT.w, generator=torch.Generator().manual_seed(1))
    return x.contiguous(memory_format=torch.channels_last).requires_grad_()


@every_head
def test_is_described_and_comes_back(name: str) -> None:
    cls = registry[name]
    assert cls.__doc__ and all(info.description for info in cls.model_fields.values())
    assert registry.make(str(cls())) == cls() == registry.make(cls().typed())


@every_head
def test_counts_are_what_torch_counts(name: str) -> None:
    layer = classifier(name)
    counted, module = cost(layer, AT), lower_layer(layer, AT, device="meta")
    assert counted.params == sum(weight.numel() for weight in module.parameters())
    module.requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        assert module(torch.empty(1, AT.c, AT.h, AT.w, device="meta")).shape == (1, 10)
        assert module(torch.empty(1, AT.c, AT.h, AT.w, device="meta"), True).shape == (1, layer.head.width(AT.c))
    last = 10 * layer.head.width(AT.c)
    assert counter.get_total_flops() == 2 * (2 * counted.macs - last)


@every_head
def test_activation_bytes_are_what_autograd_keeps(name: str) -> None:
    module = lower_layer(classifier(name), AT)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}

    def kept(batch: int) -> int:
        storages: dict[int, torch.Tensor] = {}
        x = maps(batch)
        with saved_tensors_hooks(lambda t: storages.setdefault(t.untyped_storage().data_ptr(), t), lambda t: t):
            y = module(x)
        # of the input, which others hold too, only what is read counts
        given = x.untyped_storage().data_ptr()
        total = 0
        for key in storages.keys() - own:
            total += storages[key].nbytes if key == given else storages[key].untyped_storage().nbytes()
        del y
        return total

    counted, measured = cost(classifier(name), AT).activation_bytes, 2 * kept(2) - kept(3)
    assert abs(counted - measured) <= 0.05 * measured + SLACK, f"counted {counted}, kept {measured}"


@every_head
def test_every_weight_learns_and_it_exports(name: str) -> None:
    module, x = lower_layer(classifier(name), AT), maps(2)
    module(x).square().sum().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in module.parameters())
    exported = torch.export.export(module.eval(), (x.detach(),)).module()
    torch.testing.assert_close(exported(x), module(x))
    with torch.autocast("cpu", torch.bfloat16):
        assert module(x).isfinite().all()
