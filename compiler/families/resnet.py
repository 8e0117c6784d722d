"""ResNet with bottleneck blocks and its variants by where the stride sits: original (arXiv:1512.03385), B and D
(arXiv:1812.01187), post filter (arXiv:2011.10294) and E (arXiv:2210.17141, Fig. 21). The spatial filter is a mixer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, PositiveInt

from .. import downsamplers
from ..errors import Problem
from ..family import Family
from ..grid import Grid
from ..head import Head
from ..heads import registry as known_heads
from ..heads.linear import LinearHead
from ..init import Init, KaimingNormal
from ..layer import Layer, Sequence
from ..mixer import Mixer
from ..mixers import registry as known_mixers
from ..mixers.conv import Conv as ConvMixer
from ..mixers.dw import DW
from ..parts import Conv, Pool
from ..registry import Registry
from ._bottleneck import Bottleneck, Chain, conv_stem, shortcut
from ._fields import BlockMixers, Depths, Mixers, everywhere
from ._stage import Stage

SIZES: dict[int, tuple[int, ...]] = {
    14: (1, 1, 1, 1),
    26: (2, 2, 2, 2),
    38: (3, 3, 3, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
Variant = Literal["original", "b", "d", "e", "post"]
Pre = Literal["none", "bn", "relu", "bn+relu"]


class Filters(Registry[Mixer]):
    """What may halve a map: low-pass filters, and token mixers."""

    def _load(self, word: str) -> type[Mixer]:
        return known_mixers[word] if word in known_mixers else super()._load(word)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*super().__iter__(), *known_mixers}))

    def __len__(self) -> int:
        return len(list(iter(self)))


known_filters = Filters(downsamplers.__name__, Mixer)


class ResNet(Family):
    """Blocks ``x + conv1x1(mixer(conv1x1(x)))`` with batch norms; the map halves and the width doubles by stage."""

    notation = "resnet"
    init: ClassVar[Init] = KaimingNormal()

    size: Literal[14, 26, 38, 50, 101, 152] = Field(50, description="layers, as the papers count them; sets depths")
    depths: Depths = Field(default_factory=lambda data: SIZES[data.get("size", 50)])
    mixers: Mixers = Field(
        default_factory=everywhere(ConvMixer()),
        description="spatial filter of each stage",
    )
    blocks: BlockMixers = ()
    width: PositiveInt = Field(64, description="channels of the first stage's mixers; they double with every stage")
    expansion: PositiveInt = Field(4, description="channels between blocks over channels of the mixer")
    variant: Variant = Field(
        "b",
        description="where the stride sits: original: first convolution; b: mixer; d: mixer, with a pooled shortcut; "
        "e: a filter in front of the stage; post: a filter behind the mixer and in the shortcut",
    )
    stem_kind: Literal["original", "deep", "small"] = Field(
        default_factory=lambda data: "deep" if data.get("variant") in ("d", "e") else "original",
        alias="stem",
        description="original: 7x7; deep: three 3x3 (default of d and e); small: 3x3 of stride 1 and no pooling, for "
        "images of 32 pixels and less",
    )
    stem_mixer: Annotated[Mixer, known_mixers] | None = Field(
        None, description="mixer in place of the deep stem's middle convolution"
    )
    pre: Literal["auto"] | Pre = Field(
        "auto", description="what stands in front of the mixer; auto: bn+relu for Conv, none for other mixers"
    )
    filter: Annotated[Mixer, known_filters] | None = Field(
        None, description="low-pass filter of variants e and post, or a mixer that can stride; DW k=3 if not said"
    )
    filter_average: bool = Field(
        False, description="variant e: a 2x2 average of every neighbourhood in front of the filter"
    )
    shortcut_pool: Literal[2, 3] = Field(
        2, description="side of variant d's pooling window, positions; 3 pads with zeros"
    )
    head: Annotated[Head, known_heads] = Field(LinearHead(), description="from the last map to classes")

    def check(self, at: Grid) -> Iterator[Problem]:
        if self.filter and self.variant not in ("e", "post"):
            yield Problem(
                "MX102", f"variant {self.variant} has no place for a filter", "variant: e, or post", ("filter",)
            )
        if self.filter_average and self.variant != "e":
            yield Problem(
                "MX102", f"variant {self.variant} has no filter to average for", "variant: e", ("filter_average",)
            )
        if self.filter and not self.filter.strides():
            yield Problem("MX202", f"{self.filter.notation} cannot stride", "avg, binomial, DW, CADAsp", ("filter",))
        elif self.filter and not self.filter.traits(self.stem().out(at)).any_size:
            what = f"{self.filter.notation} has weights for every position, and filters stand on maps of several sizes"
            yield Problem("MX204", what, "avg, binomial, DW, CADAsp", ("filter",))
        if self.stem_mixer and self.stem_kind != "deep":
            yield Problem("MX102", f"the {self.stem_kind} stem has no place for a mixer", "stem: deep", ("stem_mixer",))
        if self.variant in ("b", "d"):
            for stage, mixer in enumerate(self.mixers[1:], 2):
                if not mixer.strides():
                    what = f"stage {stage}: {mixer.notation} cannot stride, as variant {self.variant} asks"
                    yield Problem(
                        "MX202", what, "variant: e or original has the stride elsewhere", ("mixers", stage - 1)
                    )
            for path, mixer in self.blocks:
                if path.endswith(".blocks.0") and path != "stages.0.blocks.0" and not mixer.strides():
                    what = f"{path}: {mixer.notation} cannot stride, as variant {self.variant} asks"
                    yield Problem("MX202", what, "variant: e or original has the stride elsewhere", ("blocks", path))

    def stem(self) -> Layer:
        c = self.width
        pool = self.variant != "e"
        match self.stem_kind:
            case "original":
                return conv_stem((Conv(self.in_chans, c, 7, 2),), pool=pool)
            case "small":
                return conv_stem((Conv(self.in_chans, c, 3),), pool=False)
        middle = self.stem_mixer or Conv(c // 2, c // 2, 3)
        return conv_stem((Conv(self.in_chans, c // 2, 3, 2), middle, Conv(c // 2, c, 3)), pool=pool)

    def stage(self, index: int, most: int | None = None) -> Stage:
        """Blocks of one width, ``most`` of them; the first of them halves the map, save in the first stage."""
        stride = 1 if index == 0 or self.variant == "e" else 2
        rates = self.stage_rates(index)[:most]
        first = self._block(index, 0, stride, rates[0])
        made: dict[tuple[Mixer, float], Bottleneck] = {}
        for number, rate in enumerate(rates[1:], 1):
            said = self.mixer(index, number), rate
            if said not in made:  # the same object where blocks are equal: what is known of one is known of all
                made[said] = self._block(index, number, 1, rate)
        blocks = (first, *(made[self.mixer(index, number), rate] for number, rate in enumerate(rates[1:], 1)))
        full_size = index == 0 and self.stem_kind == "small"
        downsample = self._downsample if self.variant == "e" and not full_size else None
        return Stage(downsample, Sequence(blocks))

    @property
    def _downsample(self) -> Layer:
        """What stands in front of a stage of variant e."""
        if not self.filter_average:
            return self._filter
        return Chain.of({"average": Pool("avg", 2, padding=0), "filter": self._filter})

    def _block(self, index: int, number: int, stride: int, rate: float) -> Bottleneck:
        c = self.width << index
        cout = c * self.expansion
        cin = cout if number else (self.width if index == 0 else cout // 2)
        mixer = self.mixer(index, number)
        inside = self.variant in ("b", "d")
        low_pass = self._filter if stride > 1 and self.variant == "post" else None
        pool = self.shortcut_pool if stride > 1 and self.variant == "d" else None
        changes = stride > 1 or cin != cout
        return Bottleneck.of(
            (cin, c, cout),
            mixer.strided(stride) if inside else mixer,
            self._pre(mixer),
            stride=stride if self.variant == "original" else 1,
            low_pass=low_pass,
            beside=shortcut(cin, cout, stride, pool=pool, low_pass=low_pass) if changes else None,
            drop_path=rate,
        )

    def _pre(self, mixer: Mixer) -> Pre:
        if self.pre != "auto":
            return self.pre
        return "bn+relu" if isinstance(mixer, ConvMixer) else "none"

    @property
    def _filter(self) -> Mixer:
        """What halves the map in variants e and post."""
        return (self.filter or DW(kernel=3)).strided(2)

    def settle(self, stage: int, at: Grid) -> Self:
        settled = super().settle(stage, at)
        update: dict[str, Mixer] = {}
        if self.stem_mixer:
            update["stem_mixer"] = self.stem_mixer.settle(1, Conv(self.in_chans, self.width // 2, 3, 2).out(at))
        if self.variant in ("e", "post"):
            update["filter"] = self._filter.settle(1, self.stem().out(at))
        return settled.model_copy(update=update)

    def mixer_grids(self, at: Grid) -> tuple[Grid, ...]:
        grids: list[Grid] = []
        at = self.stem().out(at)
        for index in range(len(self.depths)):
            at = self.stage(index, most=1).out(at)  # no other block changes the map
            grids.append(at.to(self.width << index))
        return tuple(grids)

    def head_layer(self) -> Head:
        return self.head
