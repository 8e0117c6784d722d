"""Pruning of base kernels by their L1 norm, without fine-tuning. arXiv:2210.17141, section 5.3 and Table 9.

A kernel goes where its norm is not above one threshold for the whole network. A coefficient goes where no head needs
it: its convolution loses that output, its batch norm that channel. What a head alone does without becomes zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...compiler.backbone import Backbone
from ...compiler.cost import count
from ...compiler.errors import SpecError
from ...compiler.family import Family
from ...compiler.lower import lower
from ...compiler.per_stage import show
from ...compiler.resolve import Network
from ..training.data import AnySplit, Inputs
from ..training.evaluate import evaluate
from ..weights import network_of
from .banks import Bank, banks, steps
from .threshold import Found, affordable, bisect

COUPLED = "MX823"

Masks = dict[str, Tensor]
"""Which base kernels stay, (heads, b) of booleans, by the path of the mixer."""


@dataclass(frozen=True)
class Layer:
    """One mixer before and after: ``kept`` is the mean over its heads of the kernels that stay, as Table 9 lists it."""

    path: str
    mixer: str
    heads: int
    base_kernels: int
    kept: float
    coefficients: int
    """Base kernels of the pruned mixer: those that some head keeps, or the most of any head where none are shared."""


@dataclass(frozen=True)
class Pruned:
    """The smaller network with its weights, what was found, and the costs of both networks."""

    model: Backbone
    found: Found
    layers: tuple[Layer, ...]
    before: Network
    after: Network

    def facts(self) -> dict[str, Any]:
        """As plain values, for JSON and for the header of a weights file."""
        costs = {name: count(network) for name, network in (("before", self.before), ("after", self.after))}
        return {
            "threshold": self.found.threshold,
            "removed": self.found.removed,
            "base_kernels": sum(layer.heads * layer.base_kernels for layer in self.layers),
            "top1_before": self.found.base_top1,
            "top1_after": self.found.top1,
            "params": [cost.params for cost in costs.values()],
            "macs": [cost.macs for cost in costs.values()],
            "mixers": show(self.after.family.mixers),
            "blocks": {path: str(mixer) for path, mixer in getattr(self.after.family, "blocks", ())},
            "layers": [vars(layer) for layer in self.layers],
        }


def prune(model: Backbone, split: AnySplit, inputs: Inputs, classes: Sequence[str], budget: float = 0.1) -> Pruned:
    """Remove as many base kernels as ``budget`` points of accuracy on ``split`` pay for. ``model`` stays as it is.

    Raises SpecError for a budget that is none, and for a model without base kernels, or whose network C mixes its
    coefficients.
    """
    affordable(budget)
    network, held = network_of(model), banks(model)
    for bank in held:
        _separable(bank)
    trial = twin(network, model)
    scores = torch.cat([norms(bank).flatten() for bank in held])

    def accuracy(threshold: float) -> float:
        masked(trial, model, surviving(held, threshold))
        return evaluate(trial, split, inputs, classes).top1

    found = bisect(scores, accuracy, budget)
    masks = surviving(held, found.threshold)
    masked(trial, model, masks)
    return _pruned(network, trial, masks, found)


def norms(bank: Bank) -> Tensor:
    """L1 norm of every base kernel, (heads, b)."""
    return bank.base.abs().sum((2, 3))


def surviving(held: Sequence[Bank], threshold: float) -> Masks:
    """The base kernels whose norms are above a threshold."""
    return {bank.path: norms(bank) > threshold for bank in held}


@torch.no_grad()
def masked(trial: Backbone, model: Backbone, masks: Masks) -> None:
    """Make the banks of ``trial`` those of ``model``, with zeros where a kernel does not stay."""
    for bank, target in zip(banks(model), banks(trial), strict=True):
        weight, mask = bank.module.bank.weight, masks[bank.path]
        taps = bank.mixer.kernel**2
        target.module.bank.weight.copy_((weight.view(-1, taps, weight.shape[1]) * mask[:, None]).view_as(weight))


def shrunk(network: Network, trial: Backbone, masks: Masks) -> tuple[Network, Backbone]:
    """The network without the coefficients that no head needs, and its weights; it computes what ``trial`` does."""
    held = banks(trial)
    chosen = _widest(network.family, held, {bank.path: _chosen(bank, masks[bank.path]) for bank in held})
    family = _family(network.family, held, {path: index.shape[1] for path, index in chosen.items()})
    about = network.about.model_copy(update={"name": f"{network.name}_pruned", "published": (), "budget": None})
    smaller = replace(network, family=family, about=about, document=None)
    state = dict(trial.state_dict())
    for bank in held:
        state |= _cut(bank, chosen[bank.path])
    model = lower(smaller, device="meta")
    model.load_state_dict({key: value.clone() for key, value in state.items()}, strict=True, assign=True)
    return smaller, model.eval()


def _pruned(network: Network, trial: Backbone, masks: Masks, found: Found) -> Pruned:
    smaller, model = shrunk(network, trial, masks)
    layers = tuple(
        Layer(
            bank.path,
            str(bank.mixer),
            len(masks[bank.path]),
            bank.mixer.base_kernels,
            round(float(masks[bank.path].sum(1).double().mean()), 2),
            new.mixer.base_kernels,
        )
        for bank, new in zip(banks(trial), banks(model), strict=True)
    )
    return Pruned(model, found, layers, network, smaller)


def _separable(bank: Bank) -> None:
    if "mix" in steps(bank):
        what = f"{bank.path}: network C mixes its coefficients, so that none can be left out"
        raise SpecError.of(COUPLED, what, "networks A and B, and D to F, can be pruned")


def twin(network: Network, model: Backbone) -> Backbone:
    """A model with weights of its own, on the same device."""
    copy = lower(network, device="meta")
    copy.load_state_dict({key: value.clone() for key, value in model.state_dict().items()}, strict=True, assign=True)
    return copy.eval()


def _chosen(bank: Bank, mask: Tensor) -> Tensor:
    """Indices of the base kernels of the smaller mixer, (1 or heads, b'): what stays first, then what goes."""
    rows = mask.any(0, keepdim=True) if bank.shared else mask
    order = rows.logical_not().to(torch.uint8).argsort(dim=1, stable=True)
    return order[:, : max(1, int(rows.sum(1).max()))]


def _widest(family: Family, held: Sequence[Bank], chosen: dict[str, Tensor]) -> dict[str, Tensor]:
    """In families whose blocks cannot differ, all mixers of a stage keep as many as the one that needs most."""
    if "blocks" in type(family).model_fields:
        return chosen
    most = {bank.stage: 0 for bank in held}
    for bank in held:
        most[bank.stage] = max(most[bank.stage], chosen[bank.path].shape[1])
    return {bank.path: _filled(chosen[bank.path], bank.mixer.base_kernels, most[bank.stage]) for bank in held}


def _filled(index: Tensor, base: int, count: int) -> Tensor:
    """Further indices, up to ``count``: kernels that are zero fill the places."""
    rows = [[*row, *(i for i in range(base) if i not in row)][:count] for row in index.tolist()]
    return torch.tensor(rows, device=index.device)


def _family(family: Family, held: Sequence[Bank], counts: dict[str, int]) -> Family:
    """The family with as many base kernels: of each stage the most, and less in the blocks that need less."""
    mixers, own = list(family.mixers), dict(getattr(family, "blocks", ()))
    for stage in {bank.stage for bank in held}:
        here = [bank for bank in held if bank.stage == stage and bank.block not in own]
        if here:
            most = max(counts[bank.path] for bank in here)
            mixers[stage] = mixers[stage].settings(base_kernels=most)
            own |= {b.block: mixers[stage].settings(base_kernels=counts[b.path]) for b in here if counts[b.path] < most}
    said = {bank.block: own[bank.block].settings(base_kernels=counts[bank.path]) for bank in held if bank.block in own}
    update: dict[str, Any] = {"mixers": tuple(mixers)}
    if own:
        update["blocks"] = tuple({**own, **said}.items())
    return family.model_copy(update=update)


def _cut(bank: Bank, index: Tensor) -> dict[str, Tensor]:
    """The tensors of a mixer with the chosen base kernels only."""
    base = bank.mixer.base_kernels
    channels = (index + base * torch.arange(len(index), device=index.device)[:, None]).flatten()
    weight = bank.module.bank.weight
    taps = bank.mixer.kernel**2
    by_head = index.expand(weight.shape[0] // taps, -1).repeat_interleave(taps, 0)
    cut = {"bank.weight": weight.flatten(1).gather(1, by_head)[:, :, None, None]}
    for name, tensor in _coefficients(bank):
        axis = 1 if name == "weight" else 0
        cut[name] = tensor.index_select(axis, channels)
    return {f"{bank.path}.{name}": tensor.detach() for name, tensor in cut.items()}


def _coefficients(bank: Bank) -> list[tuple[str, Tensor]]:
    """What has one entry for each coefficient: the convolution that makes them, their norm, or learnt coefficients."""
    module = bank.module
    found = [(f"norm.{name}", tensor) for name, tensor in _norm(module).items() if tensor.ndim]
    if "context" in steps(bank):
        return [("context.weight", module.context.weight), *found]
    return [("weight", module.weight), *found]


def _norm(module: Any) -> dict[str, Tensor]:
    return module.norm.state_dict() if hasattr(module, "norm") else {}
