from __future__ import annotations

import pytest
import torch
from agreement import agree

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.attention import Attention

AT = Grid(4, 5, 16)


def test_is_softmax_attention_in_every_head() -> None:
    module = lower_layer(Attention(head_channels=8, bias=True), AT, dtype=torch.float64)
    x = torch.randn(2, 16, 4, 5, dtype=torch.float64, requires_grad=True)
    tokens = x.flatten(2).transpose(1, 2)
    q, k, v = (tokens @ module.qkv.weight.T + module.qkv.bias).split(16, dim=-1)
    heads = []
    for head in range(2):
        part = slice(8 * head, 8 * head + 8)
        weights = (q[..., part] @ k[..., part].transpose(1, 2) / 8**0.5).softmax(-1)
        heads.append(weights @ v[..., part])
    y = torch.cat(heads, -1) @ module.proj.weight.T + module.proj.bias
    agree(module, x, y.transpose(1, 2).view(2, 16, 4, 5))


def test_knows_no_positions() -> None:
    module, order = lower_layer(Attention(head_channels=4), AT, dtype=torch.float64), torch.randperm(20)
    x = torch.randn(1, 16, 4, 5, dtype=torch.float64)
    shuffled = x.flatten(2)[..., order].view_as(x)
    torch.testing.assert_close(module(shuffled).flatten(2), module(x).flatten(2)[..., order])


def test_counts_of_the_closed_form() -> None:
    c, n = 320, 14 * 14
    counted = cost(Attention(), Grid(14, 14, c))
    assert (counted.params, counted.macs) == (4 * c * c, 4 * c * c * n + 2 * n * n * c)


def test_runs_at_any_size() -> None:
    module = lower_layer(Attention(), Grid(7, 7, 32))
    assert module(torch.randn(1, 32, 3, 11)).shape == (1, 32, 3, 11)


@pytest.mark.parametrize(("heads", "nearest"), [(3, "2, 4"), (32, "16")])
def test_heads_divide_the_channels(heads: int, nearest: str) -> None:
    (problem,) = Attention(head_channels=heads).check(AT)
    assert problem.code == "MX203" and problem.where == ("head_channels",)
    assert problem.what == f"Ch={heads} does not divide 16 channels" and nearest in problem.hint
