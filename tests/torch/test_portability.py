"""The mixer that the linter's test calls unfit for torch.compile is unfit, and its neighbour is not."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch._dynamo.exc import Unsupported

from mixspec.compiler.grid import Grid
from mixspec.compiler.lint.portability import obstacle
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.identity import IdentityMixer

AT = Grid(4, 4, 2)


class Branching(IdentityMixer):
    """Its graph depends on values."""

    notation = "branching"
    cannot: ClassVar = {"compile": "it branches on values"}

    def forward(self, m: object, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def test_what_is_said_of_compile_is_so() -> None:
    x = torch.ones(1, 2, 4, 4)
    fit, unfit = (lower_layer(mixer, AT) for mixer in (IdentityMixer(), Branching()))
    assert not obstacle(IdentityMixer(), AT, "compile") and obstacle(Branching(), AT, "compile")
    assert torch.equal(torch.compile(fit, fullgraph=True, backend="eager")(x), x)
    with pytest.raises(Unsupported):
        torch.compile(unfit, fullgraph=True, backend="eager")(x)
