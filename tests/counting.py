"""What torch counts on the meta device, beside which our counts stand."""

from __future__ import annotations

from mixspec.compiler.lower import lower
from mixspec.compiler.resolve import Network


def executed(network: Network) -> tuple[int, int]:
    """Parameters of the module, and multiply-adds that torch sees it execute for one image."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model, at = lower(network, device="meta").eval(), network.at
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, at.c, at.h, at.w, device="meta"))
    flops = counter.get_total_flops()
    assert flops % 2 == 0
    return sum(weight.numel() for weight in model.parameters()), flops // 2
