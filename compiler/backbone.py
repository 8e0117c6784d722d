"""A lowered network: a plain ``nn.Module`` that keeps timm's model contract."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .bound import Bound, adopt
from .family import Every, Family, recomputes
from .grid import Grid
from .layer import Layer, Modules, place, walk
from .layout import entering
from .modules import FirstPosition, GlobalPool, Pointwise
from .parts import Weight

if TYPE_CHECKING:
    from .resolve import Network


class Backbone(nn.Module):
    """Stem, stages and head of a family. Input (B, in_chans, H, W), output (B, classes).

    Attributes are timm's: ``num_classes``, ``num_features``, ``head_hidden_size``, ``feature_info``, ...
    ``resolved`` is the resolved spec the module was lowered from, without its text; None for a bare family.
    """

    resolved: Network | None = None

    stem: nn.Module
    stages: nn.Sequential
    head: Any

    def __init__(self, layer: Family, at: Grid, children: Modules) -> None:
        super().__init__()
        self.layer, self.at = layer, at
        adopt(self, children)
        self.num_classes, self.in_chans = layer.classes, layer.in_chans
        self.drop_rate, self.grad_checkpointing = layer.head_dropout, False
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
        take = level_indices(indices, len(self.feature_info))
        every: list[Tensor] = []
        x = self.stem(entering(x))
        for stage in self.stages:
            if stop_early and len(every) > max(take):
                break
            x, maps = self._levels(stage, x)
            every += maps
        found = [every[index] for index in take]
        return found if intermediates_only else (x, found)

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

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        """Parameters that their layers exempt from weight decay."""
        return _exempt(self, self.layer, self.at)


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


class Jury(nn.Module):
    """Networks side by side whose logits are averaged. Input (B, in_chans, H, W), output (B, classes).

    Its features are the members' maps side by side, (B, sum of their channels, h, w), level by level, where all members
    have levels of the same strides; where they do not, ``feature_info`` is empty and asking raises ValueError.
    """

    resolved: Network | None = None

    members: nn.Module

    def __init__(self, layer: Family, at: Grid, children: Modules) -> None:
        super().__init__()
        self.layer, self.at = layer, at
        adopt(self, children)
        self.num_classes, self.in_chans = layer.classes, layer.in_chans
        self.drop_rate, self.grad_checkpointing = 0.0, False
        self._measure()

    def _measure(self) -> None:
        """What follows from the members' own."""
        voters = self._voters()
        self.global_pool = voters[0].global_pool
        self.feature_info = _side_by_side([voter.feature_info for voter in voters])
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

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """The members' maps at the named levels, side by side; see :meth:`Backbone.forward_intermediates`."""
        self._agree()
        told = [voter.forward_intermediates(x, indices, norm, stop_early, output_fmt) for voter in self._voters()]
        maps = [torch.cat(level, dim=1) for level in zip(*(own for _, own in told), strict=True)]
        return maps if intermediates_only else (torch.cat([last for last, _ in told], dim=1), maps)

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

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        """Parameters that their layers exempt from weight decay."""
        return _exempt(self, self.layer, self.at)


def _side_by_side(members: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The levels of all members as one: channels add up. Empty where strides differ."""
    if any([one["reduction"] for one in info] != [one["reduction"] for one in members[0]] for info in members):
        return []
    return [
        {**level[0], "num_chs": sum(one["num_chs"] for one in level), "module": f"members.0.{level[0]['module']}"}
        for level in zip(*members, strict=True)
    ]


def _pooling(pool: nn.Module) -> str:
    """The name of what a head makes a vector with: the mean, the class token, or something with weights."""
    return {GlobalPool: "avg", FirstPosition: "token"}.get(type(pool), "map")


def level_indices(indices: int | list[int] | tuple[int, ...] | None, count: int) -> list[int]:
    """Which of ``count`` levels are meant: all, the last so many, or those named, negative ones from the end.

    Raises ValueError.
    """
    if indices is None:
        wanted: Iterable[int] = range(count)
    else:
        wanted = range(count - indices, count) if isinstance(indices, int) else indices
    take = [index + count if index < 0 else index for index in wanted]
    if not take or not all(0 <= index < count for index in take):
        raise ValueError(f"indices {indices} do not name some of the {count} levels")
    return take


def _exempt(module: nn.Module, layer: Layer, at: Grid) -> set[str]:
    """The parameters of a module that their layers exempt from weight decay."""
    told = {path for path, part, _ in walk(layer, at) if isinstance(part, Weight) and not part.decay}
    return told & {name for name, _ in module.named_parameters()}


class HeadPool(nn.Module):
    """What is left of a pruned head: mean pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.fc = GlobalPool(), nn.Identity()

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        return self.pool(x)


def feature_info(layer: Family, at: Grid) -> list[dict[str, Any]]:
    """Channels, stride against the input, and module of every level, as timm lists them."""
    by_block = layer.levels == "blocks"
    return [
        {"num_chs": grid.c, "reduction": reduction, "module": f"stages.{stage}{block}"}
        for stage, (grid, reduction) in enumerate(_stage_grids(layer, at))
        for block in ([f".blocks.{index}" for index in range(layer.depths[stage])] if by_block else [""])
    ]


def _stage_grids(layer: Family, at: Grid) -> Iterator[tuple[Grid, int]]:
    # strides come from a large square map: small images round up and hide them
    probe = Grid(1024, 1024, at.c)
    wide = layer.stem().out(probe)
    grid = place(layer.parts(at)["stages"], at).at
    for stage in layer.stages():
        wide, grid = stage.out(wide), stage.out(grid)
        yield grid, 1024 // wide.h
