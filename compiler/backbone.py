"""A lowered network: a plain ``nn.Module`` that keeps timm's model contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .bound import Bound, adopt
from .checkpointing import Every, recomputes
from .grid import Grid
from .layer import Modules, walk
from .layout import entering
from .levels import feature_info, level_indices
from .modules import FirstPosition, GlobalPool, Pointwise
from .parts import Weight

if TYPE_CHECKING:
    from .family import Family
    from .resolve import Network


class Lowered(nn.Module, ABC):
    """What every network of ours is: a family's layer on the grid of its image, with its parts as modules.

    ``resolved`` is the resolved spec the module was lowered from, without its text; None for a bare family.
    """

    resolved: Network | None = None

    feature_info: list[dict[str, Any]]

    def __init__(self, layer: Family, at: Grid, children: Modules) -> None:
        super().__init__()
        self.layer, self.at = layer, at
        adopt(self, children)
        self.num_classes, self.in_chans = layer.classes, layer.in_chans
        self.drop_rate, self.grad_checkpointing = layer.head_dropout, False

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Maps at the named levels of ``feature_info``, and what comes out behind the last one that ran.

        ``norm`` has no effect: no norm stands behind the stages.
        """
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt must be NCHW, not {output_fmt}")
        last, maps = self._intermediates(x, indices, stop_early)
        return maps if intermediates_only else (last, maps)

    @abstractmethod
    def _intermediates(
        self, x: Tensor, indices: int | list[int] | None, stop_early: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """What comes out behind the last level that ran, and the maps at the named ones."""

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        """Parameters that their layers exempt from weight decay."""
        told = {path for path, part, _ in walk(self.layer, self.at) if isinstance(part, Weight) and not part.decay}
        return told & {name for name, _ in self.named_parameters()}


class Backbone(Lowered):
    """Stem, stages and head of a family. Input (B, in_chans, H, W), output (B, classes).

    Its attributes are timm's: ``num_classes``, ``num_features``, ``head_hidden_size``, ``feature_info``, ...
    """

    stem: nn.Module
    stages: nn.Sequential
    head: Any

    def __init__(self, layer: Family, at: Grid, children: Modules) -> None:
        super().__init__(layer, at, children)
        self.feature_info = feature_info(layer, at)
        self.num_features = self.feature_info[-1]["num_chs"]
        self.head_hidden_size = layer.head_layer().width(self.num_features)
        self.global_pool = self.pooling = _pooling(self.head.pool)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """The last map, (B, num_features, h, w)."""
        x = self.stem(entering(x))
        for stage in self.stages:
            x = stage(x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (B, classes), or the vector in front of the classifier."""
        return self.head(x, pre_logits)

    def _intermediates(
        self, x: Tensor, indices: int | list[int] | None, stop_early: bool
    ) -> tuple[Tensor, list[Tensor]]:
        take = level_indices(indices, len(self.feature_info))
        every: list[Tensor] = []
        x = self.stem(entering(x))
        for stage in self.stages:
            if stop_early and len(every) > max(take):
                break
            x, maps = self._levels(stage, x)
            every += maps
        return x, [every[index] for index in take]

    def _levels(self, stage: Any, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What comes out of a stage, and the maps of the levels that lie in it."""
        if self.layer.levels == "stages":
            x = stage(x)
            return x, [x]
        maps = []
        x = stage.downsample(x) if hasattr(stage, "downsample") else x
        for block in stage.blocks:
            x = block(x)
            maps.append(x)
        return x, maps

    @torch.jit.ignore
    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop what stands behind the last level named, and the head; returns the indices counted from 0."""
        take = level_indices(indices, len(self.feature_info))
        shortened = max(take) + 1 < len(self.feature_info)
        self.feature_info = self.feature_info[: max(take) + 1]
        _, stage, *block = self.feature_info[-1]["module"].split(".")
        self.stages = self.stages[: int(stage) + 1]
        if block:
            last: Any = self.stages[-1]
            last.blocks = last.blocks[: int(block[-1]) + 1]
        if shortened or prune_head:
            self.num_features = self.feature_info[-1]["num_chs"]
            self.head_hidden_size = self.num_features
            self.head = HeadPool()
            self.num_classes, self.global_pool, self.pooling = 0, "avg", "avg"
        return take

    @torch.jit.ignore
    def get_classifier(self) -> nn.Module:
        """The last linear map."""
        return self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier for ``num_classes``; 0 leaves it out. ``global_pool=''`` keeps the map unpooled, and the
        head's own kind of pooling comes back under its name. Raises ValueError for any other kind.
        """
        if global_pool is not None:
            self._pool(global_pool)
        self.num_classes = num_classes
        like = next(self.parameters())
        fc: nn.Module = nn.Identity()
        if num_classes:
            fc = Pointwise(self.head_hidden_size, num_classes, device=like.device, dtype=like.dtype)
            if not like.is_meta:
                with torch.no_grad():
                    self.layer.init.weight(fc.weight)
                    self.layer.init.bias(fc.bias, fc.weight)
        self.head.fc = fc.train(self.training)

    def _pool(self, kind: str) -> None:
        if kind not in ("", self.pooling) or (kind == "map" and not self.global_pool):
            raise ValueError(f"global_pool must be {self.pooling!r} or '', not {kind!r}")
        if kind != self.global_pool:
            self.head.pool = {"": nn.Identity, "avg": GlobalPool, "token": FirstPosition}[kind]()
            self.global_pool = kind

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool | Every = True) -> None:
        """Keep only the input of every block, or of every token mixer, for backward and compute the rest again."""
        self.grad_checkpointing = bool(enable)
        _mark(self, "block" if enable is True else enable or None)

    @torch.jit.ignore
    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Patterns by which timm groups parameters for layer-wise learning-rate decay."""
        blocks = (
            r"^stages\.(\d+)"
            if coarse
            else [(r"^stages\.(\d+)\.downsample", (0,)), (r"^stages\.(\d+)\.blocks\.(\d+)", None)]
        )
        return {"stem": r"^stem", "blocks": blocks}


class TokenBackbone(Backbone):
    """A backbone whose last stage carries a class token beside its map; the head reads the token.

    Such a stage has a part ``token`` and blocks that work on rows, (B, C, 1, 1 + h w), the token first.
    """

    def forward_features(self, x: Tensor) -> Tensor:
        """Class token and last map as one row, (B, num_features, 1, 1 + h w)."""
        x = self.stem(entering(x))
        for stage in self.stages:
            x = self._row(stage, x)[0] if hasattr(stage, "token") else stage(x)
        return x

    def _levels(self, stage: Any, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        if not hasattr(stage, "token"):
            return super()._levels(stage, x)
        if self.layer.levels == "stages":
            row, size = self._row(stage, x)
            return row, [_map(row, size)]
        maps: list[Tensor] = []
        return self._row(stage, x, maps)[0], maps

    def _row(self, stage: Any, x: Tensor, maps: list[Tensor] | None = None) -> tuple[Tensor, tuple[int, int]]:
        """What comes out of the token's stage, and the map's size; the map behind every block goes into ``maps``."""
        row, size = stage.layer.enter(stage, x)
        for block in stage.blocks:
            row = block(row, size)
            if maps is not None:
                maps.append(_map(row, size))
        return row, size


def _mark(module: nn.Module, every: Every | None, path: str = "") -> None:
    """Say of every layer whether backward computes it again; inside of one that is, nothing is."""
    for name, part in module.named_children():
        where = f"{path}.{name}" if path else name
        chosen = isinstance(part, Bound) and every is not None and recomputes(part.layer, where, every)
        if isinstance(part, Bound):
            part.again = chosen
        _mark(part, None if chosen else every, where)


def _map(row: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, 1, 1 + h w) without its token: (B, C, h, w)."""
    return row[..., 1:].squeeze(2).unflatten(2, size)


def _pooling(pool: nn.Module) -> str:
    """The name of what a head makes a vector with: the mean, the class token, or something with weights."""
    return {GlobalPool: "avg", FirstPosition: "token"}.get(type(pool), "map")


class HeadPool(nn.Module):
    """What is left of a pruned head: mean pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.fc = GlobalPool(), nn.Identity()

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        return self.pool(x)
