"""A lowered ensemble: several networks that answer together, with timm's model contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .backbone import Lowered
from .checkpointing import Every
from .grid import Grid
from .layer import Modules
from .levels import side_by_side

if TYPE_CHECKING:
    from .family import Family


class Ensemble(Lowered):
    """Networks side by side whose logits are averaged. Input (B, in_chans, H, W), output (B, classes).

    Its features are the members' maps side by side, (B, sum of their channels, h, w), level by level, where all members
    have levels of the same strides; where they do not, ``feature_info`` is empty and asking raises ValueError.
    """

    members: nn.Module

    def __init__(self, layer: Family, at: Grid, children: Modules) -> None:
        super().__init__(layer, at, children)
        self._measure()

    def _measure(self) -> None:
        """What follows from the members' own."""
        voters = self._voters()
        self.global_pool = voters[0].global_pool
        self.feature_info = side_by_side([voter.feature_info for voter in voters])
        self.num_features = sum(voter.num_features for voter in voters)
        self.head_hidden_size = sum(voter.head_hidden_size for voter in voters)

    def forward(self, x: Tensor) -> Tensor:
        return self.members(x) if self.num_classes else torch.cat([voter(x) for voter in self._voters()], dim=1)

    def forward_features(self, x: Tensor) -> Tensor:
        """The members' last maps, (B, num_features, h, w)."""
        self._agree()
        return torch.cat([voter.forward_features(x) for voter in self._voters()], dim=1)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Mean of the members' logits (B, classes), or the vectors in front of their classifiers."""
        voters = self._voters()
        parts = x.split([voter.num_features for voter in voters], dim=1)
        told = [voter.forward_head(part, pre_logits) for voter, part in zip(voters, parts, strict=True)]
        return torch.cat(told, dim=1) if pre_logits or not self.num_classes else torch.stack(told).mean(0)

    def _intermediates(
        self, x: Tensor, indices: int | list[int] | None, stop_early: bool
    ) -> tuple[Tensor, list[Tensor]]:
        self._agree()
        told = [voter.forward_intermediates(x, indices, stop_early=stop_early) for voter in self._voters()]
        maps = [torch.cat(level, dim=1) for level in zip(*(own for _, own in told), strict=True)]
        return torch.cat([last for last, _ in told], dim=1), maps

    def _agree(self) -> None:
        if not self.feature_info:
            raise ValueError("the members of this ensemble have maps of different strides: no place for them together")

    @torch.jit.ignore
    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop what stands behind the last level named in every network, and the heads."""
        self._agree()
        for voter in self._voters():
            take = voter.prune_intermediate_layers(indices, prune_norm, prune_head)
        self.num_classes = voter.num_classes
        self._measure()
        return take

    def _voters(self) -> list[Any]:
        return list(self.members.children())

    @torch.jit.ignore
    def get_classifier(self) -> nn.ModuleList:
        """The last linear map of every network."""
        return nn.ModuleList(voter.get_classifier() for voter in self._voters())

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """New classifiers for ``num_classes``; with 0 the members' vectors stand side by side."""
        for voter in self._voters():
            voter.reset_classifier(num_classes, global_pool)
        self.num_classes = num_classes
        self._measure()

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool | Every = True) -> None:
        """Keep only the inputs of blocks, or of token mixers, for backward and compute the rest again."""
        self.grad_checkpointing = bool(enable)
        for voter in self._voters():
            voter.set_grad_checkpointing(enable)

    @torch.jit.ignore
    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns by which timm groups parameters for layer-wise learning-rate decay, alike in all networks."""
        stage = r"^members\.\d+\.stages\.(\d+)"
        blocks = stage if coarse else [(stage + r"\.downsample", (0,)), (stage + r"\.blocks\.(\d+)", None)]
        return {"stem": r"^members\.\d+\.stem", "blocks": blocks}
