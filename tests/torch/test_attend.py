"""The native form of attention against torch's operations: values, gradients and what it leaves to torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.window import Window
from mixspec.compiler.ops import native
from mixspec.compiler.ops.attend import MOST, attend, fits, plainly
from mixspec.compiler.tiling import Tiling

pytestmark = pytest.mark.skipif(native.library() is None, reason="there is no C++ compiler")

CASES = [
    ((8, 8), 4, 0, 4, 3),  # less than a vector of channels and of positions
    ((12, 8), 4, 2, 16, 2),
    ((14, 14), 7, 3, 32, 3),
    ((14, 14), 14, 0, 20, 1),  # a window that is the map, in several pieces
    ((1, 50), 50, 0, 32, 2),
    ((5, 3), 5, 0, 1, 2),
]
"""Map, window, shift, channels of a head, heads."""


def case(
    size: tuple[int, int], window: int, shift: int, width: int, heads: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tiling]:
    torch.manual_seed(0)
    qkv = torch.randn(2, 3 * heads * width, *size, dtype=dtype).to(memory_format=torch.channels_last)
    table = torch.randn((2 * window - 1) ** 2, heads, dtype=dtype)
    return qkv.requires_grad_(), table.requires_grad_(), Tiling.of(*size, window, shift)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("size", "window", "shift", "width", "heads"), CASES)
@pytest.mark.parametrize("with_table", [True, False])
def test_equals_torch(size, window, shift, width, heads, with_table, dtype):
    qkv, table, tiling = case(size, window, shift, width, heads, dtype)
    given = table if with_table else None
    actual = attend(qkv, tiling, width, given)
    expected = plainly(qkv.double(), None if given is None else given.double(), tiling, width)
    tolerance = {"rtol": 0, "atol": 1e-12 if dtype == torch.float64 else 2e-5}
    torch.testing.assert_close(actual.double(), expected, **tolerance)
    leaves, weight = (qkv, table) if with_table else (qkv,), torch.randn_like(expected)
    found = torch.autograd.grad(actual, leaves, weight.to(dtype))
    wanted = torch.autograd.grad(expected, leaves, weight)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance["atol"] * max(1, other.abs().max().item()))


def test_without_gradients_nothing_is_kept_and_the_answer_is_the_same():
    qkv, table, tiling = case((14, 14), 7, 3, 32, 3, torch.float32)
    with torch.inference_mode():
        again = attend(qkv, tiling, 32, table)
    torch.testing.assert_close(attend(qkv, tiling, 32, table), again, rtol=0, atol=1e-6)
    assert again.is_contiguous(memory_format=torch.channels_last)


def test_threads_share_the_work():
    qkv, table, tiling = case((14, 14), 7, 3, 32, 3, torch.float64)
    weight, before = torch.randn(2, 96, 14, 14, dtype=torch.float64), torch.get_num_threads()
    told = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            y = attend(qkv, tiling, 32, table)
            told.append((y, *torch.autograd.grad(y, (qkv, table), weight)))
    finally:
        torch.set_num_threads(before)
    for one, other in zip(*told, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_logits_of_any_size():
    qkv, _, tiling = case((4, 4), 4, 0, 16, 1, torch.float32)
    with torch.no_grad():
        for factor in (0.0, 1.0, 300.0, 1e15):
            large = qkv.detach() * factor
            torch.testing.assert_close(
                attend(large, tiling, 16), plainly(large, None, tiling, 16), rtol=2e-5, atol=1e-6
            )
        large[0, 0, 0, 0] = torch.nan
        assert attend(large, tiling, 16)[0].isnan().any() and attend(large, tiling, 16)[1].isfinite().all()


def test_positions_from_elsewhere_weigh_nothing():
    qkv, _, tiling = case((8, 8), 4, 2, 16, 1, torch.float32)
    moved = qkv.detach().clone()
    moved[:, :, 0, 0] += 5.0  # rolled into the last window, beside positions that are no neighbours
    with torch.no_grad():
        same = (attend(qkv, tiling, 16) == attend(moved, tiling, 16)).all(1)
    assert same[:, 2:, :].all() and same[:, :, 2:].all() and not same[:, :2, :2].any()


def test_gradients_of_gradients():
    torch.manual_seed(0)
    module = lower_layer(Window(window=2, head_channels=2), Grid(4, 4, 4), dtype=torch.float64)
    x = torch.randn(1, 4, 4, 4, dtype=torch.float64, requires_grad=True)
    assert fits(x, Tiling.of(4, 4, 2))
    assert torch.autograd.gradcheck(module, x)
    assert torch.autograd.gradgradcheck(module, x)


def test_gradients_as_functions():
    torch.manual_seed(0)
    module = lower_layer(Window(window=2, head_channels=2), Grid(4, 4, 4), dtype=torch.float64)
    x = torch.randn(1, 4, 4, 4, dtype=torch.float64, requires_grad=True)
    found = torch.func.grad(lambda x: module(x).square().sum())(x)
    torch.testing.assert_close(found, torch.autograd.grad(module(x).square().sum(), x)[0])


def test_flops_are_counted():
    module = lower_layer(Window(head_channels=8), Grid(14, 14, 16))
    counts = []
    for device in ("cpu", "meta"):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module.to(device)(torch.empty(2, 16, 14, 14, device=device).zero_())
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_fits(monkeypatch):
    x, tiling = torch.randn(1, 4, 8, 8), Tiling.of(8, 8, 4)
    assert fits(x, tiling) and fits(x.double(), tiling)
    side = int(MOST**0.5) + 1
    assert (
        not fits(x, Tiling.of(side, side, side)) and not fits(x.bfloat16(), tiling) and not fits(x.to("meta"), tiling)
    )
    with torch.autocast("cpu"):
        assert not fits(x, tiling)
    monkeypatch.setattr(native, "library", lambda: None)
    assert not fits(x, tiling)


def test_no_compiler_of_torch_is_loaded():
    program = (
        "import sys, torch\n"
        "from mixspec.compiler.ops.attend import attend\n"
        "from mixspec.compiler.tiling import Tiling\n"
        "q = torch.randn(1, 12, 4, 4, requires_grad=True); attend(q, Tiling.of(4, 4, 4), 4).sum().backward()\n"
        "assert q.grad is not None; sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_module_agrees_with_what_runs_without_a_compiler(monkeypatch):
    torch.manual_seed(0)
    module, x = lower_layer(Window(window=4, head_channels=8, shift=1), Grid(10, 7, 16)), torch.randn(2, 16, 10, 7)
    y = module(x)
    monkeypatch.setattr(native, "library", lambda: None)
    torch.testing.assert_close(module(x), y, rtol=1e-4, atol=1e-5)
