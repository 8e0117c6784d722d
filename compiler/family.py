"""What a family of backbones is: a stem, stages and a head, as one layer."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from .grid import Grid
from .head import Classifier, Head
from .init import Init, TorchDefault
from .layer import Layer, Modules, Parts, Sequence, chain
from .mixer import Mixer
from .operator import Operator

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .bound import Bound

TRAINING_ONLY = frozenset({"drop_path", "head_dropout"})
"""Fields that change how a network trains and neither its weights nor its outputs; the digest leaves them out."""

OF_THE_HEAD = ("classes", "head_dropout")
"""Fields that say nothing about stem and stages."""


class Family(Operator):
    """Networks of one frame. The fields are the keys of a spec; which mixers stand in it is one of them."""

    init: ClassVar[Init] = TorchDefault()
    """How convolutions and linear maps start that do not say so themselves."""

    levels: ClassVar[Literal["stages", "blocks"]] = "stages"
    """Behind what the feature maps stand that detectors and decoders ask for."""

    in_chans: Annotated[int, Field(ge=1, le=1024)] = Field(3, description="channels of the input image")
    classes: Annotated[int, Field(ge=0, le=1_000_000)] = Field(1000, description="classes; 0 leaves the classifier out")
    drop_path: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="stochastic depth of the last block, in training"
    )
    head_dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="dropout before the classifier, in training"
    )

    if TYPE_CHECKING:  # declared by every family, behind the fields their defaults depend on
        depths: tuple[int, ...]
        mixers: tuple[Mixer, ...]

    def mixer(self, stage: int, block: int) -> Mixer:
        """The mixer of a block, both counted from 0: its own under ``blocks``, else its stage's."""
        return dict(self._own_mixers).get(f"stages.{stage}.blocks.{block}", self.mixers[stage])

    @property
    def _own_mixers(self) -> tuple[tuple[str, Mixer], ...]:
        """Blocks whose mixers differ from their stage's, by path, in families that have a field for them."""
        return getattr(self, "blocks", ())

    def stem(self) -> Layer:
        """From image to the first stage."""
        raise TypeError(f"{self.notation} has no stem")

    def stage(self, index: int) -> Layer:
        """One stage, counted from 0. Like the stem, it is the same whatever the classes are."""
        raise TypeError(f"{self.notation} has no stages")

    def stages(self) -> tuple[Layer, ...]:
        """The stages, first to last."""
        return tuple(self.stage(index) for index in range(len(self.depths)))

    def downsample(self, index: int) -> Layer | None:
        """What changes the map in front of the blocks of a stage, counted from 0; None where nothing does."""
        return None

    def head_layer(self) -> Head:
        """From the last map to the vector the classifier reads."""
        raise TypeError(f"{self.notation} has no head")

    def mixer_grids(self, at: Grid) -> tuple[Grid, ...]:
        """Where the mixers of each stage stand, those that do not shrink the map.

        A family where blocks change the map, not what stands in front of them, says this itself.
        """
        at, grids = self.stem().out(at), []
        for index in range(len(self.depths)):
            down = self.downsample(index)
            at = down.out(at) if down else at
            grids.append(at)
        return tuple(grids)

    def grids(self, at: Grid) -> tuple[Grid, ...]:
        """The same, remembered."""
        return _grids(_Trunk(self), at)

    def settle(self, stage: int, at: Grid) -> Self:
        """With every mixer told its stage and grid, for images of shape ``at``."""
        grids = self.grids(at)
        mixers = tuple(settled(m, i, g) for i, (m, g) in enumerate(zip(self.mixers, grids, strict=True), 1))
        update: dict[str, Any] = {"mixers": mixers}
        if self._own_mixers:
            stages = [(path, int(path.split(".")[1]), mixer) for path, mixer in self._own_mixers]
            update["blocks"] = tuple((path, settled(mixer, i + 1, grids[i])) for path, i, mixer in stages)
        return self.model_copy(update=update)

    def drop_path_rates(self) -> list[float]:
        """Rate of every block: a linear ramp over the whole depth, from zero to ``drop_path``."""
        blocks = sum(self.depths)
        return [self.drop_path * block / max(blocks - 1, 1) for block in range(blocks)]

    def stage_rates(self, stage: int) -> list[float]:
        """The ramp's share of one stage, counted from 0."""
        start = sum(self.depths[:stage])
        return self.drop_path_rates()[start : start + self.depths[stage]]

    def classifier(self) -> Classifier:
        """The head with its classifier."""
        return Classifier(self.head_layer(), self.classes, self.head_dropout)

    def out(self, at: Grid) -> Grid:
        for layer in (self.stem(), *self.stages(), self.classifier()):
            at = layer.out(at)
        return at

    def parts(self, at: Grid) -> Parts:
        return _parts(self, at)

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        x = m.stem(x)
        x = m.stages(x)
        return m.head(x)

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from .backbone import Backbone

        return Backbone(self, at, children)

    def canonical(self) -> dict[str, Any]:
        """Everything that fixes weights and outputs, under full names and with nothing left to default."""
        unsaid = set() if self._own_mixers else {"blocks"}
        fields = self.model_dump(exclude=set(TRAINING_ONLY) | {"size"} | unsaid)
        return {"family": self.notation, **fields}


class _Trunk:
    """A family as far as its stem and stages are concerned: equal to others that differ in their classes only."""

    __slots__ = ("family", "hashed", "said")

    def __init__(self, family: Family) -> None:
        said = family.__dict__.copy()
        for name in OF_THE_HEAD:
            said.pop(name, None)
        self.family, self.said = family, said
        self.hashed = hash((type(family), *said.values()))

    def __hash__(self) -> int:
        return self.hashed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Trunk) and type(self.family) is type(other.family) and self.said == other.said


@lru_cache(maxsize=2048)
def settled(mixer: Mixer, stage: int, at: Grid) -> Mixer:
    """A mixer told its stage and grid: one value for all networks that have it there, so that equal is identical."""
    return mixer.settle(stage, at)


@lru_cache(maxsize=2048)
def _grids(trunk: _Trunk, at: Grid) -> tuple[Grid, ...]:
    return trunk.family.mixer_grids(at)


@lru_cache(maxsize=512)
def _trunk(trunk: _Trunk) -> tuple[Layer, Sequence]:
    """Stem and stages; networks that differ only behind them share them, and what is known about them."""
    return trunk.family.stem(), Sequence(trunk.family.stages())


@lru_cache(maxsize=16)
def _parts(family: Family, at: Grid) -> Parts:
    """Stem, stages and head; kept, because every verb asks the network at hand for them, and asks again."""
    stem, stages = _trunk(_Trunk(family))
    return chain({"stem": stem, "stages": stages, "head": family.classifier()}, at)
