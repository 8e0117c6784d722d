"""Every shipped spec counts to what torch executes, parameter for parameter and multiply-add for multiply-add."""

from __future__ import annotations

import pytest
from counting import executed

from mixspec.compiler import catalogue
from mixspec.compiler.cost import count
from mixspec.compiler.resolve import resolve


@pytest.mark.slow
@pytest.mark.parametrize("name", catalogue.names())
def test_count_differs_by_nothing(name: str) -> None:
    network = resolve(catalogue.load(name))
    cost = count(network)
    assert (cost.params, cost.macs) == executed(network)
