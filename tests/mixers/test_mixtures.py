"""CADA, CADAsp, DA and DAsp against the paper's first equation written out, every head by itself, its map in full."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, unfold

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers import registry
from mixspec.compiler.mixers._mixture import Learnt, Mixture, Predicted

AT = Grid(6, 5, 8)
CLASSES = [registry[name] for name in ("cada", "cadasp", "da", "dasp")]
NETS = {Predicted: "ABC", Learnt: "DEF"}

each = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.notation)
each_predicted = pytest.mark.parametrize("cls", CLASSES[:2], ids=lambda cls: cls.notation)
each_learnt = pytest.mark.parametrize("cls", CLASSES[2:], ids=lambda cls: cls.notation)
each_network = pytest.mark.parametrize(
    ("cls", "net"),
    [(cls, net) for cls in CLASSES for kind, nets in NETS.items() if issubclass(cls, kind) for net in nets],
    ids=lambda value: value if isinstance(value, str) else value.notation,
)


def built(mixer: Mixture) -> nn.Module:
    torch.manual_seed(0)
    module = lower_layer(mixer, AT, dtype=torch.float64)
    for weight in module.parameters():
        nn.init.normal_(weight, std=0.5)
    return module.train()


def image(**options: Any) -> Tensor:
    return torch.randn(2, 8, 6, 5, dtype=torch.float64, **options)


def coefficients(mixer: Mixture, module: nn.Module, source: Tensor, rows: slice) -> Tensor:
    """Those of one head, or of all, from what they are predicted from or learnt as."""
    alpha = source
    if mixer.net not in "DE":
        padding = mixer.context_kernel // 2
        alpha = conv2d(alpha, module.context.weight[rows], stride=mixer.stride, padding=padding)
    if mixer.net not in "BE":
        alpha = normed(alpha, module.norm, rows)
    if mixer.net == "C":
        alpha = normed(conv2d(alpha, module.mix.weight[rows]), module.norm2, rows)
    return alpha


def normed(x: Tensor, norm: nn.Module, rows: slice) -> Tensor:
    return torch.relu(batch_norm(x, None, None, norm.weight[rows], norm.bias[rows], training=True))


def reference(mixer: Mixture, module: nn.Module, x: Tensor) -> Tensor:
    heads, b, g, s = len(module.bank.weight) // mixer.kernel**2, mixer.base_kernels, mixer.kernel, mixer.stride
    source, out = module.weight if isinstance(mixer, Learnt) else x, []
    for head, own in enumerate(x.chunk(heads, 1)):
        rows = slice(None) if mixer.shared else slice(head * b, head * b + b)
        alpha = coefficients(mixer, module, source if mixer.shared else source.chunk(heads, 1)[head], rows)
        taps = slice(head * g * g, (head + 1) * g * g)
        kernels = torch.einsum("ki,bihw->bkhw", module.bank.weight[taps, :, 0, 0], alpha)
        kernels = kernels + module.bank.bias[taps, None, None]
        windows = unfold(own, g, padding=g // 2, stride=s).view(len(x), own.shape[1], g * g, *alpha.shape[2:])
        out.append((windows * kernels[:, None]).sum(2))
    return torch.cat(out, 1)


@each_network
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("head_channels", [1, 4, "all"])
def test_is_the_mixture_of_the_paper_s_first_equation(
    cls: type[Mixture], net: str, head_channels: int | str, stride: int
) -> None:
    fields: dict[str, Any] = {"base_kernels": 3, "context_kernel": 3, "kernel": 5, "net": net}
    mixer = cls(**fields, head_channels=head_channels, stride=stride)
    module, x = built(mixer), image(requires_grad=True)
    actual, expected = module(x), reference(mixer, module, x)
    torch.testing.assert_close(actual, expected)
    leaves, direction = (x, *module.parameters()), torch.randn_like(expected)
    gradients = [torch.autograd.grad(y, leaves, direction) for y in (actual, expected)]
    torch.testing.assert_close(*gradients)


@each
def test_without_the_position_kernel_nothing_is_added(cls: type[Mixture]) -> None:
    with_kernel, without = (built(cls(base_kernels=2, head_channels=4, position=on)) for on in (True, False))
    without.load_state_dict({key: v for key, v in with_kernel.state_dict().items() if key != "bank.bias"})
    x = image()
    static = with_kernel.bank.bias.view(2, 1, 7, 7).repeat_interleave(4, 0)
    torch.testing.assert_close(with_kernel(x), without(x) + conv2d(x, static, padding=3, groups=8))


@each_predicted
def test_coefficients_of_network_a_are_not_negative_and_come_from_the_context(cls: type[Mixture]) -> None:
    module, x = built(cls(base_kernels=2, head_channels=4, context_kernel=3, kernel=7)).eval(), image()
    alpha = module.act(module.norm(module.context(x)))
    assert alpha.min() >= 0
    far = x.clone()
    far[:, :, 4:] += 1
    assert torch.equal(module.act(module.norm(module.context(far)))[:, :, :3], alpha[:, :, :3])


@each_learnt
def test_learnt_coefficients_leave_it_linear_in_its_input(cls: type[Mixture]) -> None:
    module = built(cls(head_channels=4)).eval()
    x, y = torch.randn(2, 3, 8, 6, 5, dtype=torch.float64).unbind(0)
    torch.testing.assert_close(module(x + 2 * y), module(x) + 2 * module(y))


@each
def test_counts_of_the_closed_form(cls: type[Mixture]) -> None:
    c, b, heads, taps, pixels = 64, 4, 8, 49, 14 * 14
    predicted = issubclass(cls, Predicted)
    hidden = b if cls.shared else b * heads
    source = 9 * b * c if predicted else hidden * pixels
    side = 28 if predicted else 14
    counted = cost(cls(base_kernels=b, head_channels=8, stride=side // 14), Grid(side, side, c))
    assert counted.params == source + 2 * hidden + taps * heads * (b + 1)
    assert counted.macs == pixels * (9 * b * c * predicted + taps * heads * b + taps * c)


@each
def test_heads_divide_the_channels(cls: type[Mixture]) -> None:
    (problem,) = cls(head_channels=3).check(AT)
    assert problem.code == "MX203" and problem.where == ("head_channels",)
    assert problem.what == "Ch=3 does not divide 8 channels"


@each_learnt
def test_the_size_is_fixed_once_settled(cls: type[Mixture]) -> None:
    mixer = cls(head_channels=4).settle(1, AT)
    assert (mixer.height, mixer.width) == (6, 5) and not list(mixer.check(AT))
    problems = list(mixer.check(Grid(6, 7, 8)))
    assert [(p.code, p.where) for p in problems] == [("MX204", ("width",))]
    assert "5" in problems[0].what and "7" in problems[0].what
