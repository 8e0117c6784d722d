"""What freezing makes of single layers: weights in place of computations, and norms folded where that is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mixspec.compiler.freeze import freeze
from mixspec.compiler.grid import Grid
from mixspec.compiler.layer import Layer, Parts
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixer import Mixer
from mixspec.compiler.mixers.dw import DW
from mixspec.compiler.mixers.gabor import Gabor
from mixspec.compiler.mixers.hpx import Hpx
from mixspec.compiler.norms.ccbn import CenteredNorm
from mixspec.compiler.ops import native_conv
from mixspec.compiler.ops.activated import NOTHING, ActivatedConv
from mixspec.compiler.ops.stored import SIZES, StoredFilters
from mixspec.compiler.parts import Act, BatchNorm, Conv, Drop, Weight
from mixspec.zoo.conform.mixers import AT, close, image

from .freezing import agrees, live, norms


def test_kernels_of_few_parameters_become_weights() -> None:
    conv = freeze(lower_layer(Gabor(kernel=5).settle(1, AT), AT)).conv
    assert type(conv) is ActivatedConv and conv.then == NOTHING and conv.weight.shape == (32, 32, 5, 5)
    assert isinstance(freeze(lower_layer(DW(head_channels=4), AT)), nn.Conv2d)


def test_filters_are_computed_once_and_spectra_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_conv, "faster", lambda layout, device: False)  # which needs no spectra
    mixer = Hpx().settle(1, Grid(12, 12, 8))
    model = lower_layer(mixer, Grid(12, 12, 8)).eval()
    frozen = freeze(model)
    assert isinstance(frozen.filter, StoredFilters)
    assert not any("mlp" in key or "positions" in key for key in frozen.state_dict())
    sizes = [(12 + extra, 12) for extra in range(SIZES + 2)]
    with torch.inference_mode():
        for size in sizes:
            frozen(torch.randn(1, 8, *size))
    assert len(frozen.filter.spectra) == SIZES
    kept = list(frozen.filter.spectra.values())
    x = torch.randn(2, 8, *sizes[-1])
    with torch.no_grad():
        assert close(frozen(x), model(x))
        assert all(a is b for a, b in zip(kept, frozen.filter.spectra.values(), strict=True))
    # made without gradients, of use with them
    assert close(frozen(x.clone().requires_grad_()), model(x))
    with torch.no_grad():
        frozen.filter.filters.mul_(2)
        assert not close(frozen(x), model(x))
        low = frozen.bfloat16()(x.bfloat16())
        assert low.dtype == torch.bfloat16 and low.isfinite().all()


@dataclass(frozen=True)
class Odd(Layer):
    """Layers written without a thought of freezing: each way to use a convolution and a norm that forbids to fold."""

    way: str

    def parts(self, at: Grid) -> Parts:
        c = at.c
        return {
            "conv": Conv(c, c, 1, bias=True),
            "norm": BatchNorm(c),
            "act": Act("relu", c),
            "drop": Drop(0.5),
            "scale": Weight((c,)),
        }

    def forward(self, m: Any, x: Tensor) -> Tensor:
        y = m.conv(x)
        match self.way:
            case "folds":
                return m.drop(m.norm(y)) + x
            case "read twice":
                return m.norm(y) + y
            case "changed in place":
                z = m.norm(y)
                y.relu_()
                return z + y
            case "called twice":
                return m.norm(y) + m.conv(m.act(x))
            case "norm called twice":
                return m.norm(m.norm(y))
            case "weight is read":
                return m.norm(y) * m.conv.weight.mean()
            case "weights are walked":
                return m.norm(y) * sum(weight.abs().mean() for weight in m.parameters())
            case "statistics are read":
                return m.norm(y) + m.norm.running_var[:, None, None]
            case "depends on the image":
                return m.norm(y) if x.mean() > 0 else y
            case "depends on the size":
                return m.norm(y) if x.shape[2] > 10 else y
            case "dropout's rate":
                return nn.functional.dropout(m.norm(y), m.drop.p, m.training)
            case _:
                return m.norm(self._two(m, x))

    def _two(self, m: Any, x: Tensor) -> Tensor:
        return m.conv(x) if isinstance(x, Tensor) else x


FOLDED = {"folds": True, "dropout's rate": True}
WAYS = [
    "folds", "read twice", "changed in place", "called twice", "norm called twice", "weight is read",
    "weights are walked", "statistics are read", "depends on the image", "depends on the size", "dropout's rate",
    "what the input is",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_layers_that_know_nothing_of_it_stay_right(way: str) -> None:
    torch.manual_seed(0)
    model = live(lower_layer(Odd(way), AT), image(8))
    for shift in (1, -1):
        frozen = agrees(model, torch.randn(2, AT.c, 12, 8) + shift)
        agrees(model, image() + shift)
        assert norms(frozen) == (0 if FOLDED.get(way) else 1)


def test_a_norm_with_its_own_means_is_left_alone() -> None:
    chain = nn.Sequential(nn.Conv2d(32, 32, 1), lower_layer(CenteredNorm(32, 1e-5), AT))
    assert norms(agrees(live(chain, image(8)), image())) == 1


def test_shared_and_watched_modules_are_left_alone() -> None:
    conv, seen = nn.Conv2d(32, 32, 3, padding=1), []
    shared = nn.Sequential(conv, nn.BatchNorm2d(32), nn.ReLU(), conv, nn.BatchNorm2d(32))
    assert norms(agrees(live(shared, image(8)), image())) == 2
    tied = nn.Sequential(conv, nn.BatchNorm2d(32), nn.Conv2d(32, 32, 3, padding=1))
    tied[2].weight = conv.weight
    assert norms(agrees(live(tied, image(8)), image())) == 1
    watched = nn.Sequential(nn.Conv2d(32, 32, 1), nn.BatchNorm2d(32))
    watched[0].register_forward_hook(lambda module, args, y: seen.append(y))
    assert norms(freeze(watched)) == 1


def test_a_mixer_of_its_own_kind_may_take_part() -> None:
    class Doubled(Mixer):
        """Twice the input, by a kernel made of one weight."""

        notation = "Doubled"

        def parts(self, at: Grid) -> Parts:
            return {"log": Weight((at.c, 1, 1, 1))}

        def forward(self, m: Any, x: Tensor) -> Tensor:
            return nn.functional.conv2d(x, 2 * m.log.exp(), groups=x.shape[1])

        def freeze(self, m: Any) -> nn.Module:
            from mixspec.compiler.modules import convolution

            return convolution(2 * m.log.exp(), groups=m.at.c)

    frozen = agrees(live(nn.Sequential(lower_layer(Doubled(), AT), nn.BatchNorm2d(32)), image(8)), image())
    assert norms(frozen) == 0 and type(frozen[0]) is ActivatedConv and frozen[0].then == NOTHING
