"""Ordered window attention against the paper's matrices, and what makes it see the order of positions."""

from __future__ import annotations

import pytest
import torch
from agreement import agree
from torch import Tensor, nn

from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.convwindow import ConvWindow
from mixspec.compiler.mixers.window import Window


def built(mixer: ConvWindow, c: int = 8) -> nn.Module:
    torch.manual_seed(0)
    module = lower_layer(mixer, Grid(4, 4, c), dtype=torch.float64)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.eval()


def heads_of(x: Tensor, groups: int, d: int = 4) -> tuple[Tensor, ...]:
    return x.flatten(2).unflatten(1, (groups, -1, d)).transpose(-1, -2).unbind(1)


def finished(module: nn.Module, logits: Tensor, x: Tensor) -> Tensor:
    (v,) = heads_of(module.value(x), 1)
    y = (logits * 0.5).softmax(-1) @ v
    return module.proj(y.transpose(-1, -2).reshape(x.shape))


def circulant(kernels: Tensor, side: int) -> Tensor:
    """Equation 23's left matrix in two dimensions, for every head: a convolution round the window's edges."""
    reach, size = kernels.shape[-1] // 2, side * side
    matrix = kernels.new_zeros(kernels.shape[0], size, size)
    for row in range(size):
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                column = (row // side + dy) % side * side + (row % side + dx) % side
                matrix[:, row, column] += kernels[:, 0, dy + reach, dx + reach]
    return matrix


def test_post_multiplies_the_logits_by_a_circulant_matrix():
    module = built(ConvWindow(order="post", window=4, head_channels=4))
    x = torch.randn(2, 8, 4, 4, dtype=torch.float64, requires_grad=True)
    q, k = heads_of(module.query_key(x), 2)
    logits = torch.einsum("hjm,bhim->bhij", circulant(module.conv, 4), q @ k.transpose(-1, -2))
    agree(module, x, finished(module, logits, x))


def test_pre_reads_queries_and_keys_from_the_convolved_map():
    module = built(ConvWindow(order="pre", window=4, head_channels=4))
    x = torch.randn(2, 8, 4, 4, dtype=torch.float64, requires_grad=True)
    q, k = heads_of(module.query_key(torch.relu(module.norm(module.conv(x)))), 2)
    agree(module, x, finished(module, q @ k.transpose(-1, -2), x))


def test_static_adds_a_vector_for_every_offset_to_the_keys():
    module = built(ConvWindow(order="static", window=4, head_channels=4))
    x = torch.randn(2, 8, 4, 4, dtype=torch.float64, requires_grad=True)
    q, k = heads_of(module.query_key(x), 2)
    logits = torch.empty(2, 2, 16, 16, dtype=torch.float64)
    for i in range(16):
        for j in range(16):
            theta = module.theta[(i // 4 - j // 4 + 3) * 7 + i % 4 - j % 4 + 3].view(2, 4)
            logits[:, :, i, j] = (q[:, :, i] * (k[:, :, j] + theta)).sum(-1)
    agree(module, x, finished(module, logits, x))


@pytest.mark.parametrize("order", ["pre", "post", "static"])
def test_the_order_of_positions_matters(order):
    module = built(ConvWindow(order=order, window=4, head_channels=4))
    x = torch.randn(1, 8, 4, 4, dtype=torch.float64)
    places = torch.randperm(16)
    mixed = module(x.flatten(2)[:, :, places].view(x.shape)).flatten(2)
    assert (mixed - module(x).flatten(2)[:, :, places]).abs().max() > 0.01


def test_starts_as_plain_window_attention_where_a_kernel_changes_nothing():
    torch.manual_seed(0)
    mine = lower_layer(ConvWindow(order="post", window=4, head_channels=4, shift=2), Grid(8, 8, 8))
    plain = lower_layer(Window(window=4, head_channels=4, shift=2, table=False), Grid(8, 8, 8))
    state = mine.state_dict()
    joined = {f"qkv.{key}": torch.cat([state[f"query_key.{key}"], state[f"value.{key}"]]) for key in ("weight", "bias")}
    plain.load_state_dict({**joined, **{key: value for key, value in state.items() if key.startswith("proj")}})
    x = torch.randn(2, 8, 8, 8)
    torch.testing.assert_close(mine(x), plain(x))
