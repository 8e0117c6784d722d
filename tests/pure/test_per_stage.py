"""One operator for each stage, in every form a spec or a program can give."""

from __future__ import annotations

import re

import pytest

from mixspec.compiler.errors import SpecError
from mixspec.compiler.families.metaformer import MetaFormer
from mixspec.compiler.mixers.attention import Attention
from mixspec.compiler.mixers.sepconv import SepConv
from mixspec.compiler.parse import parse
from mixspec.compiler.per_stage import _RANGE_KEY, stage_range

SPEC = "name: x\nfamily: metaformer\ndepths: [1, 1, 1]\ndims: [8, 8, 8]\nmixers: {}\n"


def mixers(given: object) -> list[str]:
    family = MetaFormer.model_validate({"depths": (1, 1, 1), "dims": (8, 8, 8), "mixers": given})
    return [mixer.notation for mixer in family.mixers]


@pytest.mark.parametrize(
    "given, found",
    [
        (SepConv(), ["SepConv"] * 3),
        ({"type": "SepConv"}, ["SepConv"] * 3),
        ("SepConv", ["SepConv"] * 3),
        ("SepConv in stages 1-2, attention", ["SepConv", "SepConv", "attention"]),
        ([SepConv(), Attention(), "SepConv"], ["SepConv", "attention", "SepConv"]),
        ((SepConv(), {"type": "attention"}, "attention"), ["SepConv", "attention", "attention"]),
        ({"1": "attention", "2-3": "SepConv"}, ["attention", "SepConv", "SepConv"]),
        ({"2 to 3": SepConv(), "1": {"type": "attention"}}, ["attention", "SepConv", "SepConv"]),
    ],
    ids=str,
)
def test_every_form(given: object, found: list[str]) -> None:
    assert mixers(given) == found


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("{2-3: SepConv}", "stage 1"),
        ("{1-2: SepConv}", "stage 3"),
        ("{1: SepConv, 3: SepConv}", "stage 2"),
        ("{0-3: SepConv}", "there is no stage 0"),
        ("{1-4: SepConv}", "there is no stage 4"),
        ("{1-2: SepConv, 2-3: SepConv}", "stage 2 is named twice"),
        ("{3-1: SepConv}", "'3-1' names no stages"),
        ("[SepConv, SepConv]", "2 mixers for 3 stages"),
        ("7", "mixers cannot be 7"),
    ],
)
def test_stages_without_an_operator_or_with_two(text: str, complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(SPEC.format(text))
    assert complaint in str(caught.value)


KEYS = {"1-2": [1, 2], "1–2": [1, 2], "1 to 2": [1, 2], "3": [3], " 2 - 2 ": [2], "10-12": [10, 11, 12]}


@pytest.mark.parametrize("key", KEYS)
def test_keys_that_name_stages(key: str) -> None:
    assert list(stage_range(key)) == KEYS[key]
    assert re.search(_RANGE_KEY, key), "the schema takes what the parser takes"


@pytest.mark.parametrize("key", ["", "-", "1-", "-2", "one", "1..2", "1-2-3", "1,2", "1.0"])
def test_keys_that_name_none(key: str) -> None:
    with pytest.raises(ValueError, match="names no stages"):
        stage_range(key)
    assert not re.search(_RANGE_KEY, key)
