"""Filters cut short."""

import pytest
import torch
from small import network

from mixspec.compiler.errors import SpecError
from mixspec.zoo.load import fresh
from mixspec.zoo.tools.truncate import truncated, truncations
from mixspec.zoo.training.data import Data, Inputs


def test_taps_beyond_the_radius_are_zero_in_all_blocks_of_the_stage_and_there_alone() -> None:
    model = fresh(network("depths: [2, 1]", "mixers: Hpx"), 1)
    with torch.no_grad():
        whole = [block.mixer.filter(block.mixer.positions) for stage in model.stages for block in stage.blocks]
        with truncated(model, 1, 0.75):  # three of eight positions
            cut = [block.mixer.filter(block.mixer.positions) for stage in model.stages for block in stage.blocks]
        after = [block.mixer.filter(block.mixer.positions) for stage in model.stages for block in stage.blocks]
    for before, now in zip(whole[:2], cut[:2], strict=True):
        for row in range(15):
            for column in range(15):
                inside = ((row - 7) ** 2 + (column - 7) ** 2) ** 0.5 <= 3
                expected = before[:, row, column] if inside else torch.zeros(8)
                assert torch.equal(now[:, row, column], expected)
    assert torch.equal(whole[2], cut[2])
    assert all(torch.equal(a, b) for a, b in zip(whole, after, strict=True))


def test_truncation_changes_the_answer_and_the_largest_size_does_not() -> None:
    model, x = fresh(network("depths: [2, 1]", "mixers: Hpx"), 1).eval(), torch.randn(2, 8, 8, 8)
    mixer = model.stages[0].blocks[1].mixer
    with torch.no_grad():
        mixer.filter.mlp.fc3.weight.mul_(50)
        whole = mixer(x)
        with truncated(model, 1, 0.25):
            assert (mixer(x) - whole).abs().max() > 1e-2 * whole.abs().max()
        with truncated(model, 1, 3):
            assert torch.equal(mixer(x), whole)


def test_every_stage_with_filters_at_every_size(data: Data) -> None:
    net = network("mixers: attention Ch=8 in stage 1, Hpx in stage 2")
    inputs = Inputs.of(net, data.facts())
    found = truncations(fresh(net, 1), [0.5, 3], data.splits["val"], inputs, data.classes)
    assert [(one.stage, one.size) for one in found] == [(2, 0.5), (2, 3)]
    assert found[1].change == 0
    with pytest.raises(SpecError, match="MX822 a filter of 0 map sides"):
        truncations(fresh(net), [0.5, 0], data.splits["val"], inputs, data.classes)
    with pytest.raises(SpecError, match="MX821 small has no mixer with an implicit filter"):
        truncations(fresh(network("mixers: attention Ch=8")), [1], data.splits["val"], inputs, data.classes)
