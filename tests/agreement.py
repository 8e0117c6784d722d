"""A module or an operator beside a reference written out: values, and gradients by the input and every weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


def agree(module: nn.Module, x: Tensor, expected: Tensor, rtol: float | None = None, atol: float | None = None) -> None:
    """``expected`` was computed from ``x``, which asks for its gradient, and from the module's own weights."""
    import torch
    from torch.testing import assert_close

    actual = module(x)
    assert_close(actual, expected, rtol=rtol, atol=atol)
    learnt = {name: weight for name, weight in module.named_parameters() if weight.requires_grad}
    leaves, direction = (x, *learnt.values()), torch.randn_like(expected)
    ours, theirs = (
        torch.autograd.grad(y, leaves, direction, allow_unused=True, materialize_grads=True) for y in (actual, expected)
    )
    for name, own, other in zip(("the input", *learnt), ours, theirs, strict=True):
        assert_close(own, other, rtol=rtol, atol=atol, msg=lambda text, name=name: f"gradient by {name}: {text}")


def same(actual: Tensor, expected: Tensor, leaves: tuple[Tensor, ...]) -> None:
    """The same values, and the same gradient with respect to every leaf."""
    import torch

    torch.testing.assert_close(actual, expected)
    weight = torch.randn_like(expected)
    torch.testing.assert_close(*(torch.autograd.grad(y, leaves, weight) for y in (actual, expected)))
