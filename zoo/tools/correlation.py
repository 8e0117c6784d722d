"""How alike the kernels of a head are. arXiv:2210.17141, appendix A.5, Figs. 25 and 27."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...compiler.backbone import Backbone
from .banks import Bank, banks


@dataclass(frozen=True)
class Correlation:
    """Mean magnitude of the correlation coefficient in one mixer.

    ``base``: over all pairs of base kernels of a head, and all heads; ``position``: between base kernels and the
    position kernel of their head. None where there is no pair. Kernels that are constant, pruned ones among them, have
    no correlation and are left out; ``kernels`` counts the others.
    """

    path: str
    mixer: str
    heads: int
    kernels: int
    base: float | None
    position: float | None


def correlations(model: Backbone) -> list[Correlation]:
    """Of every token mixer with base kernels, first to last. Raises SpecError where there is none."""
    return [_correlation(bank) for bank in banks(model)]


def matrices(base: Tensor) -> Tensor:
    """Correlation coefficients among the base kernels of each head, (heads, b, G, G) to (heads, b, b); zero for
    constant kernels.
    """
    unit = _unit(base.double())
    return unit @ unit.transpose(1, 2)


def _correlation(bank: Bank) -> Correlation:
    base = bank.base.double().cpu()
    unit = _unit(base)
    alive = unit.abs().sum(2) > 0
    pairs = (alive[:, :, None] & alive[:, None]).triu(1)
    to_position = None
    if bank.position is not None:
        position = _unit(bank.position.double().cpu()[:, None])
        both = alive & (position.abs().sum(2) > 0)
        to_position = _mean((unit @ position.transpose(1, 2)).squeeze(2).abs()[both])
    return Correlation(
        bank.path,
        str(bank.mixer),
        len(base),
        int(alive.sum()),
        _mean(matrices(base).abs()[pairs]),
        to_position,
    )


def _unit(kernels: Tensor) -> Tensor:
    """(heads, n, G, G) to (heads, n, G * G) without mean and with unit norm; constant kernels become zero."""
    taps = kernels.flatten(2)
    centred = taps - taps.mean(2, keepdim=True)
    norm = centred.norm(dim=2, keepdim=True)
    constant = norm <= 1e-12 * taps.norm(dim=2, keepdim=True)
    return torch.where(constant, 0.0, centred / norm.clamp(min=1e-300))


def _mean(values: Tensor) -> float | None:
    return round(float(values.mean()), 6) if len(values) else None
