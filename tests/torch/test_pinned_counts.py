"""Parameters and multiply-adds of published networks, to the last digit, and what torch executes of them."""

from __future__ import annotations

import pytest
from counting import executed

from mixspec.compiler import catalogue
from mixspec.compiler.cost import count
from mixspec.compiler.resolve import resolve

PINNED = {  # at the spec's own size
    "cifar": {
        "vgg16_cifar10": (14_728_266, 313_201_664),
        "vgg16_gabor": (14_727_626, 313_201_664),
        "vgg16_gabor_k7": (14_727_626, 321_065_984),
        "resnet20_cifar10": (269_722, 40_551_040),
        "resnet20_altered": (274_874, 45_924_992),
        "resnet20_gabor": (261_802, 45_924_992),
        "resnet20_gabor_k5": (261_802, 38_453_888),
    },
    "convnext": {
        "convnext_t": (28_589_128, 4_455_531_264),
        "convnext_s": (50_223_688, 8_683_712_256),
        "convnext_b": (88_591_464, 15_354_729_472),
    },
    "cvt": {
        "atc3": (2_875_172, 17_270_528),
        "atc5_113": (6_449_444, 33_252_608),
        "atc5_131": (3_343_268, 22_821_632),
        "atc5_311": (2_932_900, 20_150_016),
        "atc9": (12_044_900, 60_001_280),
        "atc13": (19_193_444, 91_965_440),
        "atc15": (19_661_540, 97_516_544),
        "atc3_res": (3_330_916, 25_429_760),
        "atc15_res": (20_117_284, 105_675_776),
        "atc3_mlp_res": (2_875_172, 17_270_528),
        "atc3_res_mlp": (3_115_556, 22_253_312),
        "cvt3_32": (3_115_556, 22_253_312),
        "cvt13_32": (19_997_480, 100_777_472),
        "cvt_13": (19_997_480, 4_566_089_216),
    },
    "isotropic": {
        "deit_ti": (5_717_416, 1_253_683_200),
        "deit_s": (22_050_664, 4_598_882_304),
        "deit_b": (86_567_656, 17_563_828_224),
        "deit_b_384": (86_859_496, 55_484_350_464),
        "vit_b16_384": (86_859_496, 55_484_350_464),
        "vit_l16_384": (304_715_752, 191_066_300_416),
        "mixer_s16": (18_528_264, 3_776_958_464),
        "mixer_b16": (59_880_472, 12_601_767_936),
        "mixer_l16": (208_196_168, 44_547_678_208),
        "resmlp_12": (15_350_872, 3_009_739_776),
        "resmlp_24": (30_020_680, 5_961_292_800),
        "resmlp_36": (44_690_488, 8_912_845_824),
        "gmlp_ti16": (5_867_328, 1_328_989_184),
        "gmlp_s16": (19_422_656, 4_392_060_928),
        "gmlp_b16": (73_075_392, 15_720_452_096),
    },
}
COUNTS = {name: counts for folder in PINNED.values() for name, counts in folder.items()}
EXECUTED = (
    *PINNED["cifar"],
    *PINNED["convnext"],
    *("atc3", "atc3_res", "atc5_113", "cvt3_32", "cvt_13"),
    *("deit_s", "mixer_b16", "resmlp_12", "gmlp_s16"),
)
"""One of each kind; `test_zoo_counts.py` has all."""


@pytest.mark.parametrize("folder", PINNED)
def test_every_spec_is_pinned(folder: str) -> None:
    assert {path.stem for path in (catalogue.FOLDER / folder).glob("*.yaml")} == set(PINNED[folder])


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str) -> None:
    found = count(resolve(catalogue.load(name)))
    assert (found.params, found.macs) == COUNTS[name]


@pytest.mark.parametrize("name", EXECUTED)
def test_torch_executes_what_is_counted(name: str) -> None:
    assert executed(resolve(catalogue.load(name))) == COUNTS[name]
