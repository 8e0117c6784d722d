"""What no network may be, and that the complaint stands at the key that causes it."""

from __future__ import annotations

import pytest

from mixspec.compiler.errors import Problem, SpecError
from mixspec.compiler.families.metaformer import MetaFormer
from mixspec.compiler.grid import Grid
from mixspec.compiler.layer import Layer, Sequence
from mixspec.compiler.mixers.sepconv import SepConv
from mixspec.compiler.parse import parse
from mixspec.compiler.parts import Conv, Pool
from mixspec.compiler.resolve import resolve
from mixspec.compiler.verify import verify

HEAD = "name: x\nfamily: metaformer\n"


def complaints(text: str) -> list[Problem]:
    with pytest.raises(SpecError) as caught:
        resolve(parse(text, "f"))
    return list(caught.value.problems)


class Stemmed(MetaFormer):
    """A metaformer with any stem."""

    notation = "stemmed"
    layers: tuple[Layer, ...] = ()

    model_config = {"arbitrary_types_allowed": True}

    def stem(self) -> Layer:
        return Sequence(self.layers)


def judged(*layers: Layer, at: Grid | None = None) -> list[Problem]:
    family = Stemmed(depths=(1,), dims=(8,), mixers=(SepConv(),), res_scale=(False,), layers=layers)
    return [problem for problem, _ in verify(family, at or Grid(16, 16, 3))]


def test_a_legal_network_has_no_complaint() -> None:
    assert judged(Conv(3, 8, 3)) == []


@pytest.mark.parametrize(
    "layer, code, what",
    [
        (Conv(3, 8, 17, padding=0), "MX201", "a kernel of 17 does not fit into a 16x16 map"),
        (Pool("max", 20, padding=0), "MX201", "a kernel of 20 does not fit into a 16x16 map"),
        (Conv(3, 8, 3, groups=2), "MX203", "a convolution from 3 to 8 channels cannot have 2 groups"),
        (Conv(9, 8, 3, groups=3), "MX203", "a convolution from 9 to 8 channels cannot have 3 groups"),
    ],
)
def test_what_no_leaf_may_be(layer: Layer, code: str, what: str) -> None:
    (problem,) = judged(layer)[:1]
    assert (problem.code, problem.what) == (code, what)
    assert problem.hint and "16x16x3" in problem.trail


def test_a_map_may_be_just_as_large_as_the_kernel() -> None:
    assert judged(Conv(3, 8, 16, padding=0)) == []


def test_equal_blocks_are_complained_about_once_per_stage() -> None:
    text = HEAD + "size: s36\nmixers: SepConv in stages 1-2, attention Ch=24\n"
    found = complaints(text)
    assert [problem.where for problem in found] == [("mixers", 2, "head_channels"), ("mixers", 3, "head_channels")]
    assert [str(problem) for problem in found] == [
        "f:4:45: MX203 stage 3: Ch=24 does not divide 320 channels (nearest: 20, 32)",
        "f:4:45: MX203 stage 4: Ch=24 does not divide 512 channels (nearest: 16, 32)",
    ]
    assert [problem.trail for problem in found] == ["stage 3 is 14x14x320 here", "stage 4 is 7x7x512 here"]
    assert found[0].nearest[0] == "20" and all(320 % int(value) == 0 for value in found[0].nearest)


@pytest.mark.parametrize(
    "mixers, place",
    [
        ("attention Ch=(24,32,32,32)", "4:23"),
        ("attention head_channels=24 in stage 1, SepConv", "4:33"),
        ("[attention Ch=24, SepConv, SepConv, SepConv]", "4:23"),
        ("[{type: attention, Ch: 24}, SepConv, SepConv, SepConv]", "4:32"),
        ("[{type: attention, head_channels: 24}, SepConv, SepConv, SepConv]", "4:43"),
        ("{1: attention Ch=24, 2-4: SepConv}", "4:26"),
        ("{1: {type: attention, Ch: 24}, 2-4: SepConv}", "4:35"),
        ("{type: attention, Ch: [24, 32, 32, 32]}", "4:32"),
        ("{type: attention, head_channels: [24, 32, 32, 32]}", "4:43"),
    ],
)
def test_the_place_in_every_form(mixers: str, place: str) -> None:
    (problem,) = complaints(f"{HEAD}size: s18\nmixers: {mixers}\n")
    assert problem.span is not None
    assert f"{problem.span.line}:{problem.span.column}" == place
    assert problem.span.end_column - problem.span.column == 2
    assert problem.what == "stage 1: Ch=24 does not divide 64 channels"


def test_complaints_of_other_keys_stand_at_those_keys() -> None:
    text = "name: x\nfamily: resnet\nvariant: d\nmixers: CADA Ch=7\n"
    assert all(problem.where[0] == "mixers" and "does not divide" in problem.what for problem in complaints(text))


@pytest.mark.parametrize(
    "sizes, what, place",
    [
        ("depths: [2000, 1, 1, 1]\ndims: [8, 8, 8, 8]\n", "2000 in depths", "3:10"),
        ("depths: [1, 1, 1, 1]\ndims: [8, 8, 8, 99999]\n", "99999 in dims", "4:17"),
        ("depths: [900, 900, 1, 1]\ndims: [8, 8, 8, 8]\n", "1802 blocks in all", "3:9"),
    ],
)
def test_sizes_that_nobody_means(sizes: str, what: str, place: str) -> None:
    (problem,) = complaints(f"{HEAD}{sizes}mixers: SepConv\n")
    assert (problem.code, problem.what) == ("MX205", what) and "at most" in problem.hint
    assert problem.span is not None and f"{problem.span.line}:{problem.span.column}" == place


def test_lengths_that_differ() -> None:
    (problem,) = complaints(HEAD + "depths: [1, 1, 1]\ndims: [8, 8, 8, 8]\nmixers: SepConv\n")
    assert problem.code == "MX204" and str(problem).startswith("f:4:7:") and problem.what == "3 depths and 4 dims"
    (problem,) = complaints(HEAD + "size: s12\nmixers: SepConv\nres_scale: [true]\n")
    assert str(problem).startswith("f:5:12: MX204 1 res_scale for 4 stages")
