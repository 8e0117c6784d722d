from __future__ import annotations

import torch

from mixspec.compiler.cost import cost
from mixspec.compiler.grid import Cost, Grid
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.identity import IdentityMixer


def test_costs_nothing_and_changes_nothing() -> None:
    at = Grid(5, 6, 7)
    assert cost(IdentityMixer(), at) == Cost()
    module, x = lower_layer(IdentityMixer(), at), torch.randn(2, 7, 5, 6)
    assert torch.equal(module(x), x) and not module.state_dict()
