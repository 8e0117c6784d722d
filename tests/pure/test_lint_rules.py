"""Every rule: its documentation, and that its examples are judged as they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from mixspec.compiler.edits import span_of
from mixspec.compiler.grid import Grid
from mixspec.compiler.lint.config import Config
from mixspec.compiler.lint.engine import lint
from mixspec.compiler.lint.finding import Finding
from mixspec.compiler.lint.fixing import fix
from mixspec.compiler.lint.portability import obstacle
from mixspec.compiler.lint.rule import FAMILIES, Rule, rules
from mixspec.compiler.mixers import registry as mixers
from mixspec.compiler.mixers.identity import IdentityMixer
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import resolve

if TYPE_CHECKING:
    from torch import Tensor

    from mixspec.compiler.bound import Bound

RULES = list(rules().values())
SMALL = "name: small\nfamily: metaformer\nsize: s12\nmixers: SepConv\ndescription: small\n"
RESNET = "name: small\nfamily: resnet\nsize: 50\nmixers: Conv\ndescription: small\n"
TIMM = "name: small\nfamily: timm\ndescription: small\nmodel: vit_tiny_patch16_224\n"
VOTE = """name: small
family: ensemble
description: small
members:
  - {{family: {}, size: s18, mixers: {}}}
  - {{family: resnet, mixers: Conv}}
"""
ROW = SMALL.replace("s12", "s18") + "published:\n  - source: HyenaPixel, arXiv:2402.19305v1, Table 1\n"

NO_EXAMPLE: dict[str, tuple[str, str]] = {
    "MX006": (SMALL + "# a\x07b\n", SMALL),
    "MX504": (SMALL + "\n\n", SMALL),
    "MX701": (SMALL + "# a\u202eb\n", SMALL),
    "MX703": (SMALL + "# hf_" + "a1" * 17 + "\n", SMALL + "# hf_token\n"),
}
"""Bad and good for rules whose subject cannot be shown in a docstring."""

ELSEWHERE = {
    "MX001",  # a file
    "MX005",  # a large file
    "MX202",  # no shipped family asks a mixer for a stride it lacks without one
    "MX208",  # a family
    "MX507",  # two files
    "MX601",  # no shipped mixer
    "MX602",  # no shipped mixer
}


def codes(text: str, source: str = "<example>") -> set[str]:
    return {finding.code for finding in lint(text, source)}


def named(text: str) -> str:
    return text.split("\n")[0].removeprefix("# file: ") if text.startswith("# file: ") else "<example>"


def only(text: str, code: str, source: str = "<stdin>") -> list[Finding]:
    return [finding for finding in lint(text, source) if finding.code == code]


def test_there_are_many() -> None:
    assert len(RULES) >= 55
    assert {rule.code[:3] for rule in RULES} == {*FAMILIES}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_documentation(rule: Rule) -> None:
    assert list(rule.sections) == ["What", "Why", "Example"]
    assert all(len(text) > 20 for text in rule.sections.values())
    assert len(rule.title) < 80 and not rule.title.endswith(".")
    assert rule.severity in ("error", "warning", "info")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_example_is_judged_as_it_says(rule: Rule) -> None:
    bad, good = rule.example("Bad"), rule.example("Good")
    if rule.code in NO_EXAMPLE:
        bad, good = NO_EXAMPLE[rule.code]
    elif not bad.strip():
        assert rule.code in ELSEWHERE
        return
    found = codes(bad, named(bad))
    assert rule.code in found and found <= {rule.code, "MX503"}
    assert codes(good, named(good)) <= {"MX503"}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.example("Bad").strip()], ids=lambda rule: rule.code)
def test_repair_of_an_example_lasts(rule: Rule) -> None:
    """A text after all repairs is not changed by a second run."""
    once = fix(rule.example("Bad"), "<example>", Config(), unsafe=True)
    again = fix(once.text, "<example>", Config(), unsafe=True)
    assert again.text == once.text and again.applied == 0


def test_safe_repairs_keep_the_network() -> None:
    text = "name: small\nfamily: MetaFormer\nsize: s12\nmixers: {1-2: sepconv kernel=3, 3-4: ATTENTION}  \n\n"
    fixed = fix(text, "<example>", Config()).text
    assert (
        fixed
        == "name: small\nfamily: metaformer\nsize: s12\nmixers: SepConv k=3 in stages 1-2, attention in stages 3-4\n"
    )


MARKED = [
    ("MX203", SMALL.replace("SepConv", "SepConv k=3 in stages 1-2, attention Ch=«24»")),
    ("MX203", SMALL.replace("SepConv", "[SepConv, SepConv, {type: attention, Ch: «24»}, SepConv]")),
    ("MX203", SMALL.replace("SepConv", "{1-2: SepConv, 3-4: attention Ch=«24»}")),
    ("MX101", SMALL.replace("SepConv", "'SepConv «kk»=3'")),
    ("MX109", SMALL.replace("SepConv", "SepConv k=(3,5,«x»,7)")),
    ("MX107", SMALL.replace("SepConv", "SepConv k=(«3,5,7»)")),
    ("MX106", SMALL.replace("SepConv", "SepConv, «attention» Ch=32")),
    ("MX106", SMALL.replace("SepConv", "SepConv in stages 1-2, attention «in stage 4»")),
    ("MX105", SMALL.replace("SepConv", "SepConv in stages «2-1», attention")),
    ("MX108", SMALL.replace("SepConv", "SepConv k=3 «k=5»")),
    ("MX102", SMALL + "image: [224, «6»]\n"),
    ("MX101", SMALL + "mlp: {type: mlp, «ratoi»: 3}\n"),
    ("MX101", SMALL + "published:\n  - source: x\n    «flopps»: 3G\n"),
    ("MX103", SMALL.replace("size: s12\n", "").replace("metaformer", "«metaformer»")),
    ("MX103", "\n# first\n«family»: metaformer\nsize: s12\nmixers: SepConv\n"),
    ("MX101", "\ufeff" + SMALL + "«clases»: 3\n"),
    ("MX101", SMALL.replace("\n", "\r\n") + "«clases»: 3\r\n"),
    ("MX401", ROW + "    params: «28M»\n"),
    ("MX104", SMALL + "targets: [«onx»]\n"),
    ("MX002", SMALL + 'recipe: «"»a\n'),
    ("MX002", SMALL + "res_scale: «[»true, true\nimage: 224\n"),
]


@pytest.mark.parametrize("code, marked", MARKED, ids=range(len(MARKED)))
def test_the_very_token(code: str, marked: str) -> None:
    text = marked.replace("«", "").replace("»", "")
    before = marked.removeprefix("\ufeff")
    start, end = before.index("«"), before.index("»") - 1
    expected = span_of(text.removeprefix("\ufeff"), start, end)
    assert [finding.span for finding in only(text, code)] == [expected]


def test_shapes_of_all_stages_and_a_value_that_suits_them() -> None:
    [finding] = only(SMALL.replace("SepConv", "attention Ch=24"), "MX203")
    assert finding.trail == tuple(
        f"stage {s} is {grid} here" for s, grid in enumerate(("56x56x64", "28x28x128", "14x14x320", "7x7x512"), 1)
    )
    assert finding.hint == "for all of them: 16, 32"
    [narrow] = only(SMALL.replace("SepConv", "SepConv in stages 1-2, attention Ch=30 in stage 3, SepConv"), "MX203")
    assert (narrow.what, narrow.hint) == ("stage 3: Ch=30 does not divide 320 channels", "nearest: 20, 32")


def test_one_mistake_does_not_hide_another() -> None:
    text = """name: small
 family: metaformer
size: s21
mixers: SepCnov kk=3 in stages 1-2, attention Ch=24 in stages 3-4
norm: layrnorm
clases: ten
image: 224
image: 224
published:
  - sorce: x
    top1: 0.8
"""
    found = [(finding.code, *finding.span[:2]) for finding in lint(text, "<example>")]
    assert found == [
        ("MX002", 2, 2),
        ("MX104", 3, 7),
        ("MX104", 4, 9),
        ("MX101", 4, 17),
        ("MX203", 4, 50),
        ("MX104", 5, 7),
        ("MX101", 6, 1),
        ("MX109", 6, 9),
        ("MX003", 8, 1),
        ("MX101", 10, 5),
        ("MX406", 11, 11),
    ]


def test_an_illegal_name_is_one_finding() -> None:
    assert codes(SMALL.replace("name: small", "name: Small One"), "small.yaml") == {"MX102"}


def test_published_figures_name_the_counter_that_fits() -> None:
    [finding] = only(
        ROW.replace("SepConv", "SepConv in stages 1-2, attention") + "    flops: 4.12G\n    counter: elementwise\n",
        "MX402",
    )
    assert finding.hint == "it is the figure of counter: fvcore" and finding.span[:2] == (9, 14)


@pytest.mark.parametrize(
    "said, meant",
    [("27 million", "27M"), ("26.8M params", "26.8M"), ("26.8 MParams", "26.8M"), ("many", None), ("26x8", None)],
)
def test_figures_with_words_behind_them(said: str, meant: str | None) -> None:
    [finding] = only(ROW + f"    params: {said}\n", "MX404")
    assert (finding.fix.what if finding.fix else None) == (meant and f"write {meant}")


def test_a_list_of_clauses_is_one_text() -> None:
    text = SMALL.replace("SepConv", "[SepConv in stages 1-2, attention in stages 3-4]")
    [finding] = only(text, "MX107")
    assert finding.hint == "write SepConv in stages 1-2, attention in stages 3-4"
    fixed = fix(text, "small.yaml", Config(), unsafe=True)
    assert (fixed.text, fixed.findings) == (text.replace("[", "").replace("]", ""), [])
    assert not only(text.replace(" in stages 1-2", "").replace(" in stages 3-4", ""), "MX107")[0].fix


def test_a_disputed_figure_is_left_alone() -> None:
    assert codes(ROW + "    params: 28M\n    disputed: the text says 27M\n") == set()
    assert codes(ROW + "    params: 27M\n    disputed: the text says 28M\n") == {"MX403"}


def test_budget_of_the_project() -> None:
    config = Config(budget={"max_macs": 10**9})
    [finding] = [one for one in lint(SMALL, "<example>", config) if one.code == "MX302"]
    assert "1,000,000,000 are allowed, from pyproject.toml" in finding.what
    own = SMALL + "budget: {max_macs: 9G}\n"
    assert not [one for one in lint(own, "<example>", config) if one.code == "MX302"]


class Branching(IdentityMixer):
    """A mixer that no compiler takes in one graph: tests/torch/test_portability.py shows that it is so."""

    notation = "branching"
    cannot: ClassVar = {"compile": "it branches on values"}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    "limit, hint",
    [("0", "a limit of 0 allows nothing"), ("15M", "30.2% too many"), ("1k", "19,527.2 times as many")],
)
def test_how_much_too_much(limit: str, hint: str) -> None:
    [finding] = only(SMALL + f"budget: {{max_params: {limit}}}\n", "MX301")
    assert finding.hint == hint


def test_targets_that_a_mixer_cannot_serve_are_found_at_their_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mixers._loaded, "branching", Branching)
    text = SMALL.replace("SepConv", "SepConv in stages 1-3, branching in stage 4")
    assert codes(text + "targets: [onnx]\n") == codes(text + "targets: [fp16, any_size]\n") == set()
    [found] = only(text + "targets: [compile]\n", "MX602")
    assert (found.what, found.hint) == ("stage 4: branching does not support compile", "it branches on values")
    assert text.split("\n")[3][found.span.column - 1 : found.span.end_column - 1] == "branching"


def test_an_unknown_size_says_nothing_of_stages() -> None:
    text = "name: small\nfamily: swin\nsize: tiny\nmixers: windw in stages 1-2, window in stages 3-4\n"
    found = [(one.code, *one.span[:2]) for one in lint(text, "small.yaml") if one.severity == "error"]
    assert found == [("MX104", 3, 7), ("MX104", 4, 9)]


@pytest.mark.parametrize(
    "said, meant",
    [
        ("CADA(b=8, ca=3, agg=7, Ch=16)", "CADA b=8 ca=3 agg=7 Ch=16"),
        ("CADA b=8, ca=3; agg=7", "CADA b=8 ca=3 agg=7"),
        ("CADA b=8, ca=3, agg=7", "CADA b=8 ca=3 agg=7"),
        ("CADA (b=(8,16,32,64), ca=3)", "CADA b=(8,16,32,64) ca=3"),
        ("CADA b=[8,16,32,64] ca=3", "CADA b=(8,16,32,64) ca=3"),
        ("CADA b:8 ca:3", "CADA b=8 ca=3"),
        ("'CADA b: 8, ca: 3'", "CADA b=8 ca=3"),
        ("SepConv 7x7", "SepConv k=7"),
        ("SepConv 7x5", None),
        ("Hpx stages 1–2, attention stages 3–4", "Hpx in stages 1–2, attention in stages 3–4"),
        ("Hpx for stages 1-2, attention for the stages 3-4", "Hpx in stages 1-2, attention in stages 3-4"),
        ("Hpx in stages 1—2; attention in stages 3..4", "Hpx in stages 1-2, attention in stages 3-4"),
        ("Hpx in stages 1/2 and attention in stages 3/4", "Hpx in stages 1 and 2, attention in stages 3 and 4"),
        ("Hpx in S1-S2, attention in S3-S4", "Hpx in stages 1-2, attention in stages 3-4"),
        ("Hpx in stages 1-2,, attention", "Hpx in stages 1-2, attention"),
        ("Hpx + attention", None),
    ],
)
def test_notation_of_other_places_is_said_in_ours(said: str, meant: str | None) -> None:
    text = SMALL.replace("SepConv", said)
    [finding] = lint(text, "small.yaml")
    assert finding.code == "MX105" and (finding.fix.what if finding.fix else None) == (meant and f"write {meant}")
    if meant:
        assert finding.hint == f"write {meant}"
        fixed = fix(text, "small.yaml", Config(), unsafe=True)
        assert not fixed.findings
        assert resolve(parse(fixed.text)).digest == resolve(parse(text.replace(said, meant))).digest


def test_notation_inside_brackets_is_said_in_ours() -> None:
    text = "{name: small, family: metaformer, size: s12, mixers: Hpx in stages 1-2 and attention in stages 3-4}\n"
    fixed = fix(text, "small.yaml", Config(), unsafe=True)
    assert fixed.text == text.replace("Hpx", '"Hpx').replace(" and", ",").replace("3-4", '3-4"')


def test_notation_inside_a_list_is_said_in_ours() -> None:
    text = SMALL.replace("SepConv", "[SepConv, SepConv, SepConv, 'DW(k=5)']")
    fixed = fix(text, "small.yaml", Config(), unsafe=True)
    assert (fixed.findings, fixed.text) == ([], SMALL.replace("SepConv", "SepConv in stages 1-3, DW k=5 in stage 4"))


@pytest.mark.parametrize(
    "said, meant",
    [("HyenaPixel", "Hpx"), ("DWConv k=7", "DW"), ("MHSA", "attention"), ("W-MSA", "window"), ("avgpool", "pooling")],
)
def test_names_of_papers_and_other_libraries_are_answered_with_ours(said: str, meant: str) -> None:
    [finding] = only(SMALL.replace("SepConv", said), "MX104")
    assert finding.fix is not None and finding.fix.what == f"write {meant}"
    assert finding.hint.startswith(f"did you mean {meant}")


@pytest.mark.parametrize(
    "text, code, place",
    [
        (RESNET.replace("50", "05"), "MX104", (3, 7)),
        (RESNET.replace("50", "x0"), "MX104", (3, 7)),
        (RESNET.replace("size: 50", "depths: [3, 4, 6px]"), "MX109", (3, 16)),
        (RESNET.replace("size: 50", "deepths: [3, 4, 6]").replace("Conv", "DW k=(3,5,7)"), "MX101", (3, 1)),
        (
            SMALL.replace("size: s12", "depths: [1]\ndims: [16]").replace("SepConv", "attention Ch=8.5"),
            "MX109",
            (5, 22),
        ),
        (SMALL.replace("SepConv", "{type: attention, Ch: ten}"), "MX109", (4, 31)),
        (TIMM + "replace:\n  blocks.0.attn: DWW\n", "MX104", (6, 18)),
        (TIMM + "replace:\n  blocks.0.attn: DW kk=3\n", "MX101", (6, 21)),
        (TIMM + "replace:\n  blocks.0.attn: {type: DW, k: x}\n", "MX109", (6, 32)),
        (VOTE.format("metafrmer", "SepConv"), "MX104", (5, 14)),
        (VOTE.format("metaformer", "attention Ch=24"), "MX203", (5, 58)),
        (SMALL.replace("SepConv", "SepConv k＝7"), "MX110", (4, 17)),
        (SMALL + "published:\n  -\n", "MX109", (7, 4)),
        ("name: x\nfamily: isotropic\ndepths: [ten]\nmixers: attention\ndescription: x\n", "MX109", (3, 10)),
    ],
)
def test_one_mistake_is_one_finding(text: str, code: str, place: tuple[int, int]) -> None:
    found = [one for one in lint(text, "<example>") if one.severity != "info"]
    assert [(one.code, one.span[:2]) for one in found] == [(code, place)]


def test_repairs_inside_mappings_change_one_word() -> None:
    for text in (TIMM + "replace:\n  blocks.0.attn: DWW k=7\n", VOTE.format("metafrmer", "SepConv")):
        fixed = fix(text, "small.yaml", Config(), unsafe=True)
        assert not [one for one in fixed.findings if one.severity == "error"]
        assert fixed.text == text.replace("DWW", "DW").replace("metafrmer", "metaformer")


def test_keys_of_recipes_are_sent_to_recipes() -> None:
    found = lint(SMALL + "epochs: 300\nlr: 6e-3\nsched: cosine\nbatch_size: ten\n", "small.yaml")
    assert [(one.code, one.span.line, one.fix) for one in found] == [("MX101", line, None) for line in (6, 7, 8, 9)]
    assert all("`recipe: NAME`" in one.hint for one in found)


@pytest.mark.parametrize(
    "mixers, better",
    [
        ("attention", "attention Ch=30"),
        ("'attention bias=true in stage 1, attention'", "'attention Ch=30 bias=true in stage 1, attention Ch=30'"),
        ("attention Ch=32", "attention Ch=30"),
        ("{type: attention}", None),
        ("{type: attention, Ch: 32}", "{type: attention, Ch: 30}"),
    ],
)
def test_a_default_that_does_not_divide_is_given_a_value(mixers: str, better: str | None) -> None:
    text = SMALL.replace("size: s12", "depths: [1, 1]\ndims: [60, 120]").replace("SepConv", mixers)
    [*findings] = only(text, "MX203")
    assert findings and all((one.fix is not None) == (better is not None) for one in findings)
    fixed = fix(text, "small.yaml", Config(select=("MX2",)), unsafe=True)
    assert fixed.text == (text.replace(mixers, better) if better else text)
    assert bool(fixed.findings) == (better is None)


def test_negative_widths_are_one_mistake() -> None:
    text = "name: small\nfamily: metaformer\ndepths: [2, 2, 6, 2]\ndims: [64, 128, -320, 512]\nmixers: SepConv\n"
    assert codes(text) == {"MX102"}


def test_a_comma_with_nothing_behind_it_is_removed() -> None:
    assert fix(SMALL.replace("SepConv", "SepConv,"), "small.yaml", Config(), unsafe=True).text == SMALL


def test_weights_are_no_spec_and_the_hint_says_what_reads_them() -> None:
    for content in (b"\0" * 9, b"\0" * 900_000):
        [found] = lint(content, "model.safetensors")
        assert (found.code, found.what) == ("MX006", "this file holds weights, not a spec")
        assert "mixspec inspect model.safetensors" in found.hint


def test_a_mixer_says_what_it_cannot_do() -> None:
    class Branching(IdentityMixer):
        cannot: ClassVar = {"compile": "it branches on values"}

    at = Grid(14, 14, 64)
    assert obstacle(Branching(), at, "compile") == "it branches on values"
    assert obstacle(Branching(), at, "onnx") == obstacle(IdentityMixer(), at, "compile") == ""


EVERY_MISTAKE = {
    "SepConv kk=3 in stages 1-2, Foo b=1 in stages 2-5": {
        ("MX101", "kk"),
        ("MX104", "Foo"),
        ("MX106", "in stages 2-5"),
    },
    "SepConv k=4 k=3 in stages 1-2, attention Ch=33 in stages 3-9, Hpz": {
        ("MX102", "4"),
        ("MX108", "k=3"),
        ("MX106", "in stages 3-9"),
        ("MX203", "33"),
        ("MX104", "Hpz"),
        ("MX106", "Hpz"),
    },
    "SepConv k=(3,4,5,7,9), DW kk=(1,2) k=4": {
        ("MX107", "3,4,5,7,9"),
        ("MX102", "4"),
        ("MX106", "DW"),
        ("MX101", "kk"),
    },
    "SepConv k=3 in stage 1, attention Ch=33 in stage 3": {("MX106", "in stage 3"), ("MX203", "33")},
}


@pytest.mark.parametrize("mixers", EVERY_MISTAKE)
def test_a_mistake_in_the_stages_hides_no_other_in_the_notation(mixers: str) -> None:
    found = lint(f"name: small\nfamily: metaformer\nsize: s12\nmixers: {mixers}\n", "small.yaml")
    start = len("mixers: ") + 1
    said = {(one.code, mixers[one.span.column - start : one.span.end_column - start]) for one in found if one.fails}
    assert said == EVERY_MISTAKE[mixers] | {one for one in said if one[0].startswith("MX5")}
    assert {one.span.line for one in found if one.code.startswith("MX1")} == {4}
