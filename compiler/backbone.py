"""A lowered network: a plain ``nn.Module`` that keeps timm's model contract."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .bound import adopt
from .errors import SpecError
from .family import Family
from .grid import Grid
from .layer import Layer, Modules, place, walk
from .modules import GlobalPool, Pointwise
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

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """The last map, (B, num_features, h, w)."""
        x = self.stem(x)
        for stage in self.stages:
            x = self._stage(stage, x)
        return x

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (B, classes), or the vector in front of the classifier."""
        return self.head(x, pre_logits)

    def _stage(self, stage: Any, x: Tensor) -> Tensor:
        if not (self.grad_checkpointing and torch.is_grad_enabled()):
            return stage(x)
        if hasattr(stage, "downsample"):
            x = stage.downsample(x)
        for block in stage.blocks:
            x = checkpoint(block, x, use_reentrant=False)
        return x

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Maps after the named stages, and the last map; ``norm`` has no effect, no norm stands behind the stages."""
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt must be NCHW, not {output_fmt}")
        take = self._indices(indices)
        maps = []
        x = self.stem(x)
        for index, stage in enumerate(self.stages):
            if stop_early and index > max(take):
                break
            x = self._stage(stage, x)
            if index in take:
                maps.append(x)
        return maps if intermediates_only else (x, maps)

    def _indices(self, indices: int | list[int] | None) -> list[int]:
        count = len(self.stages)
        wanted = (
            list(range(count))
            if indices is None
            else range(count - indices, count)
            if isinstance(indices, int)
            else indices
        )
        take = [index + count if index < 0 else index for index in wanted]
        if not take or not all(0 <= index < count for index in take):
            raise ValueError(f"indices {indices} do not name some of the {count} stages")
        return take

    @torch.jit.ignore
    def prune_intermediate_layers(
        self, indices: int | list[int] = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Drop the stages behind the last one named, and the head; returns the indices counted from 0."""
        take = self._indices(indices)
        self.stages = self.stages[: max(take) + 1]
        self.feature_info = self.feature_info[: max(take) + 1]
        if max(take) + 1 < len(self.layer.depths) or prune_head:
            self.num_features = self.feature_info[-1]["num_chs"]
            self.head_hidden_size = self.num_features
            self.head = HeadPool()
            self.num_classes = 0
        return take

    @torch.jit.ignore
    def get_classifier(self) -> nn.Module:
        """The last linear map."""
        return self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """A new classifier for ``num_classes``; 0 leaves it out, ``global_pool=''`` keeps the map unpooled."""
        if global_pool not in (None, "", "avg"):
            raise ValueError(f"global_pool must be 'avg' or '', not {global_pool!r}")
        if global_pool is not None:
            self.head.pool = GlobalPool() if global_pool else nn.Identity()
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

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only the input of every block for backward and compute the rest again."""
        self.grad_checkpointing = enable

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
        x = self.stem(x)
        for stage in self.stages:
            x = self._row(stage, x)[0] if hasattr(stage, "token") else self._stage(stage, x)
        return x

    def _stage(self, stage: nn.Module, x: Tensor) -> Tensor:
        if not hasattr(stage, "token"):
            return super()._stage(stage, x)
        row, (height, width) = self._row(stage, x)
        return row[..., 1:].squeeze(2).unflatten(2, (height, width))

    def _row(self, stage: Any, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        row, size = stage.layer.enter(stage, x)
        for block in stage.blocks:
            again = self.grad_checkpointing and torch.is_grad_enabled()
            row = checkpoint(block, row, size, use_reentrant=False) if again else block(row, size)
        return row, size


class Jury(nn.Module):
    """Networks side by side whose logits are averaged. Input (B, in_chans, H, W), output (B, classes).

    Of timm's contract it keeps what does not speak of one last map: classifier, weight decay, layer groups,
    checkpointing.
    """

    resolved: Network | None = None

    members: nn.Module

    def __init__(self, layer: Family, at: Grid, children: Modules) -> None:
        super().__init__()
        self.layer, self.at = layer, at
        adopt(self, children)
        self.num_classes, self.in_chans = layer.classes, layer.in_chans

    def forward(self, x: Tensor) -> Tensor:
        return self.members(x)

    def _voters(self) -> list[Any]:
        return list(self.members.children())

    @torch.jit.ignore
    def get_classifier(self) -> nn.ModuleList:
        """The last linear map of every network."""
        return nn.ModuleList(voter.get_classifier() for voter in self._voters())

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """New classifiers for ``num_classes``; their logits are averaged, so 0 is refused with a SpecError."""
        if num_classes < 1:
            raise SpecError.of("MX102", "an ensemble votes on classes", "one or more", ("classes",))
        for voter in self._voters():
            voter.reset_classifier(num_classes, global_pool)
        self.num_classes = num_classes

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only the inputs of blocks for backward and compute the rest again."""
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
    """Channels, stride against the input, and module of every stage, as timm lists them."""
    return [
        {"num_chs": grid.c, "reduction": reduction, "module": f"stages.{index}"}
        for index, (grid, reduction) in enumerate(_stage_grids(layer, at))
    ]


def _stage_grids(layer: Family, at: Grid) -> Iterator[tuple[Grid, int]]:
    # strides come from a large square map: small images round up and hide them
    probe = Grid(1024, 1024, at.c)
    wide = layer.stem().out(probe)
    grid = place(layer.parts(at)["stages"], at).at
    for stage in layer.stages():
        wide, grid = stage.out(wide), stage.out(grid)
        yield grid, 1024 // wide.h
