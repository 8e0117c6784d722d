"""Window attention against pairs of positions, one by one, in float64."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.window import Window

SIZES = [(8, 8), (9, 6), (4, 10), (3, 3)]


def built(mixer: Window, c: int = 8) -> nn.Module:
    torch.manual_seed(0)
    module = lower_layer(mixer, Grid(8, 8, c), dtype=torch.float64)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def homes(size: int, window: int, shift: int) -> list[tuple[int, int]]:
    """For every position of a padded axis: its window, after the shift, and the piece of the axis it comes from."""
    if size <= window:
        return [(0, 0)] * size
    padded = -(-size // window) * window
    return [((place - shift) % padded // window, int(place < shift)) for place in range(padded)]


def reference(mixer: Window, module: nn.Module, x: Tensor) -> Tensor:
    """Attention of every position to all positions in its window that were there before the map was rolled."""
    (height, width), c, w = x.shape[2:], x.shape[1], mixer.window
    rows, columns = homes(height, w, mixer.shift), homes(width, w, mixer.shift)
    padded = nn.functional.pad(x, (0, len(columns) - width, 0, len(rows) - height))
    places = list(product(range(len(rows)), range(len(columns))))
    homed = [(rows[y], columns[z]) for y, z in places]
    q, k, v = module.qkv(padded).flatten(2).unflatten(1, (3, c // mixer.head_channels, -1)).unbind(1)
    logits = torch.einsum("bhdi,bhdj->bhij", q, k) * mixer.head_channels**-0.5
    apart = torch.tensor([[a != b for b in homed] for a in homed])
    offsets = [[(a[0] - b[0] + w - 1, a[1] - b[1] + w - 1) for b in places] for a in places]
    index = torch.tensor(
        [[max(0, min(y, 2 * w - 2)) * (2 * w - 1) + max(0, min(z, 2 * w - 2)) for y, z in r] for r in offsets]
    )
    logits = (logits + module.table[index].movedim(-1, 0)).masked_fill(apart, -torch.inf)
    y = torch.einsum("bhij,bhdj->bhdi", logits.softmax(-1), v).reshape(padded.shape)
    return module.proj(y)[:, :, :height, :width]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shift", [0, 2])
def test_equals_the_definition(size, shift):
    mixer = Window(window=4, head_channels=4, shift=shift)
    module = built(mixer)
    x = torch.randn(2, 8, *size, dtype=torch.float64, requires_grad=True)
    actual, expected = module(x), reference(mixer, module, x)
    torch.testing.assert_close(actual, expected)
    leaves, weight = (x, *module.parameters()), torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(actual, leaves, weight), torch.autograd.grad(expected, leaves, weight)
    )


def test_follows_moves_by_whole_windows_only():
    module = built(Window(window=4, head_channels=4))
    x = torch.randn(1, 8, 12, 12, dtype=torch.float64)
    moved = [module(x.roll((s, s), (2, 3))).roll((-s, -s), (2, 3)) for s in (4, 1)]
    torch.testing.assert_close(moved[0], module(x))
    assert (moved[1] - module(x)).abs().max() > 0.1


def test_without_a_table_the_order_of_positions_does_not_matter():
    module = built(Window(window=4, head_channels=4, table=False))
    x = torch.randn(1, 8, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(module(x.flip(2, 3)), module(x).flip(2, 3))
    with_table = built(Window(window=4, head_channels=4))
    assert (with_table(x.flip(2, 3)) - with_table(x).flip(2, 3)).abs().max() > 0.1


def test_masks_nothing_that_autocast_cannot_hold():
    module = built(Window(window=4, head_channels=4, shift=2)).float()
    x = torch.randn(1, 8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        y = module(x)
    assert (y - module(x)).abs().max() < 0.1 * module(x).abs().max()


@pytest.mark.parametrize(
    ("mixer", "words"),
    [(Window(head_channels=24), "Ch=24 does not divide 32 channels"), (Window(window=4, shift=4), "a window or more")],
)
def test_says_what_does_not_fit(mixer, words):
    assert [words in problem.what for problem in mixer.check(Grid(8, 8, 32))] == [True]


def test_counts_mask_and_table_only_where_they_are():
    at = Grid(14, 14, 96)
    logits = 4 * 49**2 * 3
    assert Window().tally(at) == {"softmax": logits, "table": logits, "mask": 0}
    assert Window(shift=3, table=False).tally(at) == {"softmax": logits, "table": 0, "mask": logits}
    assert not Window(shift=3).tally(Grid(7, 7, 96))["mask"]
