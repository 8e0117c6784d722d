"""What holds for every token mixer. The folder is walked, so a new file is tested without an edit here.

A mixer stands on an 8x8 map of 32 channels with its defaults; where the map refuses one, with the nearest legal value
that the complaint offers. Counts are also compared for every variant: each switch and each choice, one at a time.
"""

from __future__ import annotations

import copy
import importlib
import io
import pickle
from collections.abc import Iterator
from functools import cache
from typing import Literal, get_args, get_origin

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixer import Mixer, Traits
from mixspec.compiler.mixers import registry

AT = Grid(8, 8, 32)
SLACK = 1024
"""Bytes by which counted and kept activations may differ beside the 5 %: statistics of norms, scalars."""

every_mixer = pytest.mark.parametrize("name", sorted(registry))


@cache
def legal(mixer: Mixer) -> Mixer | None:
    """The mixer settled on the map, with refused values exchanged for offered ones; None if that does not help."""
    settled = mixer.settle(1, AT)
    for _ in range(4):
        problems = list(settled.check(AT))
        if not problems:
            return settled
        if not all(problem.nearest for problem in problems):
            return None
        settled = settled.settings(**{str(problem.where[-1]): int(problem.nearest[0]) for problem in problems})
    return None


def default(name: str) -> Mixer:
    """The mixer with its defaults."""
    mixer = legal(registry[name]())
    assert mixer is not None, f"the defaults of {name} do not run on a map of {AT}"
    return mixer


def variants(name: str) -> Iterator[Mixer]:
    """The default, every other choice of one field, and stride 2."""
    cls = registry[name]
    yield default(name)
    for field, info in cls.model_fields.items():
        choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
        if info.annotation is bool:
            choices = (not info.default,)
        for choice in choices:
            mixer = legal(cls(**{field: choice}))
            if mixer is not None and choice != info.default:
                yield mixer
    if cls.strides():
        mixer = default(name).strided(2)
        if not list(mixer.check(AT)):
            yield mixer


def lowered(mixer: Mixer, seed: int = 0, **place: torch.dtype) -> nn.Module:
    torch.manual_seed(seed)
    return lower_layer(mixer, AT, **place)


def image(batch: int = 2, **place: torch.dtype) -> Tensor:
    return torch.randn(batch, AT.c, AT.h, AT.w, generator=torch.Generator().manual_seed(1)).to(**place)


def close(a: Tensor, b: Tensor, tolerance: float = 1e-5) -> bool:
    """Equal up to a deviation relative to the largest value."""
    return a.shape == b.shape and bool((a - b).abs().max() <= tolerance * b.abs().max().clamp(min=1e-6))


@every_mixer
def test_is_described(name: str) -> None:
    cls = registry[name]
    assert cls.__module__.endswith(f".{cls.notation.lower()}")
    assert cls.__doc__ and cls.__doc__ != Mixer.__doc__
    assert importlib.import_module(cls.__module__).__doc__
    for field, info in cls.model_fields.items():
        assert info.description, f"{name}.{field} has no description"
    assert isinstance(default(name).traits(AT), Traits)


@every_mixer
def test_notation_and_typed_form_come_back(name: str) -> None:
    for mixer in (registry[name](), *variants(name)):
        assert registry.make(str(mixer)) == mixer
        assert registry.make(mixer.typed()) == mixer


@every_mixer
def test_settling_twice_changes_nothing(name: str) -> None:
    mixer = default(name)
    assert mixer.settle(1, AT) == mixer == mixer.settle(3, AT)


@every_mixer
def test_counts_are_what_torch_counts(name: str) -> None:
    for mixer in variants(name):
        counted = cost(mixer, AT)
        module = lower_layer(mixer, AT, device="meta").eval()
        weights = list(module.parameters())
        assert counted.params == sum(weight.numel() for weight in weights), mixer
        assert counted.params_trainable == sum(weight.numel() for weight in weights if weight.requires_grad), mixer
        module.requires_grad_(False)
        out = mixer.out(AT)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            y = module(torch.empty(1, AT.c, AT.h, AT.w, device="meta"))
        assert y.shape == (1, out.c, out.h, out.w), mixer
        assert 2 * counted.macs == counter.get_total_flops(), mixer


def kept_bytes(module: nn.Module, batch: int) -> int:
    """Memory that autograd holds after a forward pass, weights left out: every storage once."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*module.parameters(), *module.buffers())}
    kept: dict[int, tuple[int, Tensor]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    # blocks hand maps over as norms leave them: channels last
    x = image(batch).contiguous(memory_format=torch.channels_last).requires_grad_()
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        y = module(x)
    total = sum(nbytes for nbytes, _ in kept.values())
    del y
    return total


@every_mixer
def test_activation_bytes_are_what_autograd_keeps(name: str) -> None:
    for mixer in variants(name):
        module = lowered(mixer).train()
        # one image from two and three: batch norm cannot train on one, and filters do not grow with the batch
        kept = 2 * kept_bytes(module, 2) - kept_bytes(module, 3)
        counted = cost(mixer, AT).activation_bytes
        assert abs(counted - kept) <= 0.05 * kept + SLACK, f"{mixer}: counted {counted}, kept {kept}"


@every_mixer
def test_every_weight_learns(name: str) -> None:
    for mixer in variants(name):
        module, x = lowered(mixer), image().requires_grad_()
        y = module(x)
        assert y.isfinite().all()
        (y * torch.randn_like(y)).sum().backward()
        assert x.grad is not None and x.grad.isfinite().all()
        for path, weight in module.named_parameters():
            assert (weight.grad is not None) == weight.requires_grad, f"{mixer}: {path}"
            assert weight.grad is None or weight.grad.isfinite().all(), f"{mixer}: {path}"


@every_mixer
def test_start_depends_on_the_seed_alone(name: str) -> None:
    mixer = default(name)
    first, again, other = (lowered(mixer, seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert all(value.isfinite().all() for value in first.values())
    matrices = [key for key, value in first.items() if value.dim() > 1]
    assert not matrices or any(not torch.equal(first[key], other[key]) for key in matrices)


@every_mixer
def test_copies_give_the_same(name: str) -> None:
    module, x = lowered(default(name)).eval(), image()
    expected = module(x)
    assert torch.equal(copy.deepcopy(module)(x), expected)
    assert torch.equal(pickle.loads(pickle.dumps(module))(x), expected)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    fresh = lowered(default(name), seed=5).eval()
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(fresh(x), expected)


@every_mixer
def test_layout_and_precision_do_not_matter(name: str) -> None:
    mixer = default(name)
    module, x = lowered(mixer).eval(), image()
    expected = module(x)
    assert close(module(x.contiguous(memory_format=torch.channels_last)), expected)
    assert close(torch.cat([module(x[:1]), module(x[1:])]), expected)
    double = copy.deepcopy(module).double()(image(dtype=torch.float64))
    assert double.dtype == torch.float64 and close(expected.double(), double, 1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        low = module(x)
    assert low.isfinite().all() and close(low.float(), expected, 0.1)


@every_mixer
def test_trains_under_autocast(name: str) -> None:
    module, x = lowered(default(name)), image().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        module(x).float().square().mean().backward()
    assert x.grad is not None and x.grad.isfinite().all()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in module.parameters())


@every_mixer
def test_compiles_in_one_graph(name: str) -> None:
    module, x = lowered(default(name)).eval(), image()
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert close(compiled(x), module(x))
    expected, got = x.clone().requires_grad_(), x.clone().requires_grad_()
    module(expected).square().sum().backward()
    compiled(got).square().sum().backward()
    assert expected.grad is not None and got.grad is not None and close(got.grad, expected.grad)


@every_mixer
def test_exports(name: str) -> None:
    module, x = lowered(default(name)).eval(), image()
    exported = torch.export.export(module, (x,))
    assert close(exported.module()(x), module(x))
