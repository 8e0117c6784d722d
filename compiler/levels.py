"""The levels of a network, at which its maps can be had: channels, strides, modules. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from .grid import Grid
from .layer import place

if TYPE_CHECKING:
    from .family import Family


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


def side_by_side(members: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The levels of all members as one: channels add up. Empty where strides differ."""
    if any([one["reduction"] for one in info] != [one["reduction"] for one in members[0]] for info in members):
        return []
    return [
        {**level[0], "num_chs": sum(one["num_chs"] for one in level), "module": f"members.0.{level[0]['module']}"}
        for level in zip(*members, strict=True)
    ]


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
