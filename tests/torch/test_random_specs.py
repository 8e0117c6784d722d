"""Whatever the compiler accepts: its count is what torch builds and executes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from random_specs import legal, specs
from torch.utils.flop_counter import FlopCounterMode

from mixspec.compiler.cost import count
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower
from mixspec.compiler.resolve import Network

FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
MANY = settings(FEW, max_examples=1000)


def agree(network: Network) -> None:
    """Parameters, multiply-adds, output and feature shapes of the tree equal the module's."""
    cost, model = count(network), lower(network, device="meta").eval()
    parameters = list(model.parameters())
    assert cost.params == sum(weight.numel() for weight in parameters)
    assert cost.params_trainable == sum(weight.numel() for weight in parameters if weight.requires_grad)
    for weight in parameters:  # FlopCounterMode cannot slice a parameter that learns
        weight.requires_grad_(False)
    at = network.at
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        logits = model(torch.empty(1, at.c, at.h, at.w, device="meta"))
    assert 2 * cost.macs == counter.get_total_flops()
    assert logits.shape[1:] == (network.family.out(at).c,)
    maps = model.forward_intermediates(torch.empty(1, at.c, at.h, at.w, device="meta"), intermediates_only=True)
    assert [each.shape for each in maps] == [(1, grid.c, grid.h, grid.w) for grid in feature_grids(network)]


def feature_grids(network: Network) -> list[Grid]:
    """The grid behind every stage, or behind every block where those are the feature levels."""
    family = network.family
    grid, found = family.stem().out(network.at), []
    for stage, depth in zip(family.stages(), family.depths, strict=True):
        grid = stage.out(grid)
        found += [grid] * (depth if family.levels == "blocks" else 1)
    return found


@FEW
@given(specs)
def test_random_specs_count_as_they_run(text: str) -> None:
    network = legal(text)
    assume(network is not None)
    assert network is not None
    agree(network)


@pytest.mark.slow
@MANY
@given(specs)
def test_a_thousand_random_specs(text: str) -> None:
    network = legal(text)
    assume(network is not None)
    assert network is not None
    agree(network)
