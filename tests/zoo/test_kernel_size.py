"""The extent of learnt windows."""

import math

import pytest
import torch
from small import network

from mixspec.compiler.errors import SpecError
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.hpx import Hpx
from mixspec.zoo.load import fresh
from mixspec.zoo.tools.kernel_size import diameters, kernel_sizes, spacing


def test_a_fresh_filter_of_the_paper_covers_43_to_111_taps() -> None:
    module = lower_layer(Hpx().settle(1, Grid(56, 56, 64)).model_copy(), Grid(56, 56, 64))
    part = module.filter
    found = diameters(part.decay.detach().flatten(), part.shift.detach().flatten(), spacing(part.distance), 111, 0.05)
    assert float(found[0]) == 111  # two times 108 taps, which is more than there are
    assert float(found[-1]) == pytest.approx(2 * math.log(20) / (15.3506 / 111), rel=1e-4)
    assert float(found[-1]) == pytest.approx(43.3, abs=0.1)


@pytest.mark.parametrize("factor", [1.0, 2.0, 0.4])
def test_diameter_is_that_of_the_taps_that_stay(factor: float) -> None:
    side = 41
    layer = Hpx(kernel=side).settle(1, Grid(21, 21, 12))
    part = lower_layer(layer, Grid(21, 21, 12)).filter
    torch.manual_seed(0)
    with torch.no_grad():
        part.distance.mul_(factor)
        part.decay.uniform_(0.1, 1.0)
        part.shift.uniform_(-0.02, 0.02)
        window = (-part.decay.abs() * part.distance).exp() + part.shift
    row = (window[0, :, side // 2] >= 0.05).sum(1)  # taps of the middle row
    assert spacing(part.distance) == pytest.approx(factor)
    found = diameters(part.decay.detach().flatten(), part.shift.detach().flatten(), spacing(part.distance), side, 0.05)
    assert ((found - row).abs() <= 1).all()
    assert len(row.unique()) > 1


def test_shift_beyond_the_threshold_keeps_everything_or_nothing() -> None:
    found = diameters(torch.tensor([1.0, 1.0, 0.0]), torch.tensor([0.06, -1.0, 0.0]), 1.0, 31, 0.05)
    assert found.tolist() == [31, 0, 31]


def test_coverage_is_against_the_map() -> None:
    model = fresh(network("image: 16", "mixers: Hpx in stage 1, attention Ch=8"), 1)
    (found,) = kernel_sizes(model)
    assert (found.path, found.kernel, found.map_side) == ("stages.0.blocks.0.mixer", 31, 16)
    assert found.smallest < found.diameter < found.largest <= 31
    assert found.coverage == pytest.approx(found.diameter / 16, abs=1e-3)
    assert kernel_sizes(model, 0.5)[0].diameter < found.diameter


def test_wrong_input_is_a_complaint() -> None:
    hpx = fresh(network("image: 16", "mixers: Hpx"))
    with pytest.raises(SpecError, match="MX822 a threshold of 1"):
        kernel_sizes(hpx, 1.0)
    for mixers in ("attention Ch=8", "Hpx filter=explicit"):
        with pytest.raises(SpecError, match="MX821 small has no mixer with an implicit filter"):
            kernel_sizes(fresh(network("image: 16", f"mixers: {mixers}")))
