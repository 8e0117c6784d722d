"""Modules that use our operators, exported and compiled: any batch, one graph, and the same gradients."""

from __future__ import annotations

import pytest
import torch
from agreement import same
from torch import Tensor, nn

import mixspec
from mixspec.compiler.lower import lower

from .users import Long, Predicted

USERS = {"aggregation": (Predicted, (4, 6, 5)), "global convolution": (Long, (3, 5, 4))}


@pytest.fixture(params=USERS)
def used(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    """A module and a batch of two."""
    make, size = USERS[request.param]
    return make(), torch.randn(2, *size, requires_grad=True)


def test_export(used: tuple[nn.Module, Tensor]) -> None:
    module, x = used[0].eval(), used[1].detach()
    program = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=64)},))
    for batch in (x, torch.randn(5, *x.shape[1:])):
        torch.testing.assert_close(program.module()(batch), module(batch), rtol=0, atol=0)


def test_compile_traces_into_one_graph(used: tuple[nn.Module, Tensor]) -> None:
    module, x = used
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    same(compiled(x), module(x), (x, *module.parameters()))


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_anew")
def test_compile_with_inductor(used: tuple[nn.Module, Tensor]) -> None:
    module, x = used
    torch.testing.assert_close(torch.compile(module, fullgraph=True)(x), module(x))


def test_programs_kept_on_disk_belong_to_one_version() -> None:
    assert lower, "imported, that is all it takes"
    assert f"mixspec {mixspec.__version__}" in torch.compiler.config.cache_key_tag
