"""Modules that use our operators, as networks do."""

from __future__ import annotations

import torch
from torch import Tensor

from mixspec.compiler.ops.aggregate import aggregate, aggregate_decomposed
from mixspec.compiler.ops.global_conv import global_conv


class Predicted(torch.nn.Module):
    """A kernel predicted from the pixel itself, once as a map and once decomposed."""

    def __init__(self) -> None:
        super().__init__()
        self.context = torch.nn.Conv2d(4, 3, 3, padding=1)
        self.bank = torch.nn.Conv2d(3, 18, 1)

    def forward(self, x: Tensor) -> Tensor:
        alpha = self.context(x)
        y = aggregate(x, self.bank(alpha), kernel=3)
        return y + aggregate_decomposed(y, alpha, self.bank.weight, self.bank.bias, kernel=3)


class Long(torch.nn.Module):
    """A map filter, then a causal filter along the flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = torch.nn.Parameter(torch.randn(3, 9, 7))
        self.taps = torch.nn.Parameter(torch.randn(3, 20))

    def forward(self, x: Tensor) -> Tensor:
        return global_conv(global_conv(x, self.filters).flatten(2), self.taps, causal=True)
