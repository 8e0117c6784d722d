"""Fields that most families have, and the depths and widths of networks with a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import Field, PositiveInt

from ..mixer import Mixer
from ..mixers import registry as known_mixers
from ..per_block import PerBlock
from ..per_stage import PerStage

Depths: TypeAlias = Annotated[tuple[PositiveInt, ...], Field(description="blocks of each stage")]
Dims: TypeAlias = Annotated[tuple[PositiveInt, ...], Field(description="channels of each stage")]
Mixers: TypeAlias = Annotated[tuple[Mixer, ...], PerStage(known_mixers), Field(description="token mixer of each stage")]
BlockMixers: TypeAlias = Annotated[
    tuple[tuple[str, Mixer], ...],
    PerBlock(known_mixers),
    Field(description="mixers of single blocks, by path (`stages.0.blocks.1`), in place of their stage's"),
]

Sizes = Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
"""Depths and widths of named sizes."""


def sized(sizes: Sizes, which: int) -> Callable[[dict[str, Any]], tuple[int, ...]]:
    """The default of ``depths`` (0) or ``dims`` (1): those of the ``size`` that was given, empty without one."""
    return lambda data: sizes[data["size"]][which] if data.get("size") in sizes else ()


def everywhere(mixer: Mixer) -> Callable[[dict[str, Any]], tuple[Mixer, ...]]:
    """The default of ``mixers``: one for all stages."""
    return lambda data: (mixer,) * len(data.get("depths", ()))
