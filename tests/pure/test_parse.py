"""From text to a typed spec: what is wrong, where, what would be right; every complaint in one run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixspec.compiler.errors import Problem, SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import resolve

HEAD = "name: x\nfamily: metaformer\nsize: s18\n"


def complaints(text: str) -> tuple[Problem, ...]:
    with pytest.raises(SpecError) as caught:
        resolve(parse(text, "f.yaml"))
    return caught.value.problems


def shown(text: str) -> list[str]:
    """``4:17 MX101 unknown key 'kk' (did you mean k?)``, one for each complaint."""
    return [str(problem).removeprefix("f.yaml:").replace(": ", " ", 1) for problem in complaints(text)]


PAPER = "mixers: SepConv\npublished:\n  - source: x\n"


ONE = [  # text, code, line:column, part of what is said, part of the hint
    ("hello\n", "MX102", "1:1", "a spec is a mapping", "name:"),
    ("- a\n", "MX102", "1:1", "a spec is a mapping", "name:"),
    ("family: metaformer\nsize: s18\nmixers: SepConv\n", "MX103", "1:1", "name is missing", "lower case"),
    ("name: x\nmixers: SepConv\n", "MX103", "1:1", "family is missing", "metaformer"),
    ("name: x\nfamily: metformer\nsiez: 3\n", "MX104", "2:9", "unknown family 'metformer'", "did you mean metaformer?"),
    ("name: x\nfamily: DeiT\n", "MX104", "2:9", "unknown family 'DeiT'", "did you mean isotropic?"),
    ("name: x\nfamily: caformer\n", "MX104", "2:9", "unknown family 'caformer'", "did you mean metaformer"),
    ("name: x\nfamily: 3\n", "MX109", "2:9", "family must be text, not 3", ""),
    ("name: X Y\nfamily: metaformer\nsize: s18\nmixers: SepConv\n", "MX102", "1:7", "name 'X Y'", "lower case"),
    ("name: 3\nfamily: metaformer\nsize: s18\nmixers: SepConv\n", "MX109", "1:7", "name must be text, not 3", ""),
    ("name: x\nfamily: metaformer\nsize: s19\nmixers: SepConv\n", "MX104", "3:7", "size cannot be 's19'", "s18"),
    (
        "name: x\nfamily: metaformer\nsize: huge\nmixers: SepConv\n",
        "MX104",
        "3:7",
        "size cannot be 'huge'",
        "one of: b36",
    ),
    ("name: x\nfamily: metaformer\nsiez: s18\nmixers: SepConv\n", "MX101", "3:1", "unknown key 'siez'", "size"),
    ("name: x\nfamily: metaformer\nmixers: SepConv\n", "MX103", "2:9", "depths and dims are missing", "size: s18"),
    (HEAD, "MX103", "1:1", "mixers is missing", "token mixer"),
    (HEAD + "mixers:\n", "MX102", "4:8", "mixers cannot be null", "A in stages 1-2"),
    (HEAD + "mixers: 7\n", "MX102", "4:9", "mixers cannot be 7", "A in stages 1-2"),
    (HEAD + "mixers: SepCnv\n", "MX104", "4:9", "unknown mixer 'SepCnv'", "SepConv"),
    (HEAD + "mixers: SepConv kk=7\n", "MX101", "4:17", "unknown key 'kk'", "did you mean k?"),
    (HEAD + "mixers: SepConv k=x\n", "MX109", "4:19", "k must be a whole number, not 'x'", "depth-wise kernel"),
    (HEAD + "mixers: SepConv k=7.5\n", "MX109", "4:19", "k must be a whole number, not 7.5", "depth-wise kernel"),
    (HEAD + "mixers: SepConv kernel_size=7\n", "MX101", "4:17", "unknown key 'kernel_size'", "did you mean k?"),
    (HEAD + PAPER + "    acc: 83.6\n", "MX101", "7:5", "unknown key 'acc'", "did you mean top1?"),
    (HEAD + PAPER + "    GFLOPs: 4.6\n", "MX101", "7:5", "unknown key 'GFLOPs'", "did you mean flops?"),
    (HEAD + "mixers: SepConv k=-7\n", "MX102", "4:19", "k: must be greater than 0, not -7", "depth-wise kernel"),
    (HEAD + "mixers: SepConv k=7 kernel=7\n", "MX101", "4:21", "kernel is given twice, as k too", "keep one"),
    (HEAD + "mixers: SepConv k=3 k=5\n", "MX108", "4:21", "k is given twice", "once"),
    (HEAD + "mixers: 'SepConv kk=7'\n", "MX101", "4:18", "unknown key 'kk'", "did you mean k?"),
    (HEAD + "mixers: SepConv in stages 1-2, attention Chx=3\n", "MX101", "4:42", "unknown key 'Chx'", "Ch"),
    (HEAD + "mixers: SepConv in stages 1-5\n", "MX106", "4:17", "there is no stage 5", "4 stages"),
    (HEAD + "mixers: [SepConv, SepConv]\n", "MX107", "4:9", "2 mixers for 4 stages", "one for each"),
    (HEAD + "mixers: [SepConv, 3, SepConv, SepConv]\n", "MX102", "4:19", "3 is no mixer", "type: NAME"),
    (HEAD + "mixers: {1-2: SepConv, 3-5: SepConv}\n", "MX106", "4:24", "there is no stage 5", "each once"),
    (HEAD + "mixers: {1-2: SepConv, 2-4: SepConv}\n", "MX106", "4:24", "stage 2 is named twice", "each once"),
    (HEAD + "mixers: {1-2: SepConv}\n", "MX106", "4:10", "no operator for stages 3, 4", "each"),
    (HEAD + "mixers: {1-2: SepConv, rest: SepConv}\n", "MX105", "4:24", "'rest' names no stages", "1-2"),
    (HEAD + "mixers: {tpye: SepConv}\n", "MX102", "4:9", "neither a type nor stages", "type"),
    (HEAD + "mixers: {type: SepConv, kk: 7}\n", "MX101", "4:25", "unknown key 'kk'", "did you mean k?"),
    (HEAD + "mixers: {type: SepConv, k: [7, 7]}\n", "MX107", "4:28", "k has 2 values for 4 stages", "one value"),
    (HEAD + "mixers: {type: SepConf}\n", "MX104", "4:16", "unknown mixer 'SepConf'", "SepConv"),
    (HEAD + "mixers:\n  1-2: SepConv\n  3-4: {type: attention, Chx: 3}\n", "MX101", "6:26", "unknown key 'Chx'", "Ch"),
    (HEAD + "mixers: SepConv\nimage: 4\n", "MX102", "5:8", "must be greater than or equal to 8, not 4", "pixels"),
    (HEAD + "mixers: SepConv\nimage: [224]\n", "MX102", "5:8", "image cannot be [224]", "[height, width]"),
    (
        HEAD + "mixers: SepConv\nimage: [3, 224, 224]\n",
        "MX102",
        "5:8",
        "image cannot be [3, 224, 224]",
        "[height, width]",
    ),
    (
        "name: x\nfamily: resnet\ndepth: 50\nmixers: Conv\n",
        "MX101",
        "3:1",
        "unknown key 'depth'",
        "mean size or depths",
    ),
    (HEAD + "mixers: SepConv\nresolution: 384\n", "MX101", "5:1", "unknown key 'resolution'", "did you mean image?"),
    (HEAD + "mixers: SepConv\nimg_size: 384\n", "MX101", "5:1", "unknown key 'img_size'", "did you mean image?"),
    (HEAD + "mixers: SepConv\nbudget: {max_params: 3e7}\n", "MX109", "5:22", "max_params must be a whole", "`30M`"),
    (HEAD + "mixers: SepConv\nbudget: {max_params: -3}\n", "MX102", "5:22", "greater than or equal to 0, not -3", ""),
    (HEAD + "mixers: SepConv\nbudget: 30M\n", "MX109", "5:9", "budget must be a mapping", "{max_params: 30M}"),
    (HEAD + "mixers: SepConv\npublished:\n  source: x\n", "MX109", "6:3", "published must be a list", "`- `"),
    (HEAD + "mixers: SepConv\nimage: big\n", "MX109", "5:8", "image must be", "[height, width]"),
    (HEAD + "mixers: SepConv\nmlp: MPL\n", "MX104", "5:6", "unknown mlp 'MPL'", "MLP"),
    (HEAD + "mixers: SepConv\nmlp: MLP act=gel\n", "MX104", "5:14", "act cannot be 'gel'", "gelu"),
    (HEAD + "mixers: SepConv\nmlp: MLP r=2 in stages 1-2\n", "MX105", "5:6", "one operator is expected", "mixers"),
    (HEAD + "mixers: SepConv\nmlp: [MLP]\n", "MX102", "5:6", "['MLP'] is no mlp", "NAME"),
    (
        HEAD + "mixers: SepConv\nclasses: -1\n",
        "MX102",
        "5:10",
        "classes: must be greater than or equal to 0",
        "0 leaves",
    ),
    (HEAD + "mixers: SepConv\nclasses: 10.0\n", "MX109", "5:10", "classes must be a whole number", "0 leaves"),
    (
        HEAD + "mixers: SepConv\nclasses: true\n",
        "MX109",
        "5:10",
        "classes must be a whole number, not true",
        "0 leaves",
    ),
    (HEAD + "mixers: SepConv\npublished: {source: x}\n", "MX109", "5:12", "published must be a list", "papers"),
    (HEAD + "mixers: SepConv\npublished:\n- sourc: x\n  source: y\n", "MX101", "6:3", "unknown key 'sourc'", "source"),
    (
        HEAD + "mixers: SepConv\npublished:\n- source: y\n  counter: fvcor\n",
        "MX104",
        "7:12",
        "counter cannot be",
        "fvcore",
    ),
    (
        HEAD + "mixers: SepConv\npublished:\n- source: y\n  params: 28\n",
        "MX109",
        "7:11",
        "params must be text, not 28",
        "28M",
    ),
]


@pytest.mark.parametrize("text, code, place, what, hint", ONE, ids=[text.removeprefix(HEAD) for text, *_ in ONE])
def test_a_single_mistake(text: str, code: str, place: str, what: str, hint: str) -> None:
    (problem,) = complaints(text)
    assert problem.span is not None and problem.source == "f.yaml"
    assert (problem.code, f"{problem.span.line}:{problem.span.column}") == (code, place)
    assert what in problem.what and hint in problem.hint
    line = text.split("\n")[problem.span.line - 1]
    assert problem.span.end_line > problem.span.line or problem.span.end_column <= len(line) + 1


@pytest.mark.parametrize(
    "key, value, better",
    [
        ("classes", "1,000", "1000"),
        ("classes", "1_000_000", "1000000"),
        ("classes", "10,00", "10"),
        ("image", "224x224", "224"),
        ("image", "224x192", None),
        ("targets", "onnx", "[onnx]"),
        ("res_scale", "(true, true, false,)", "[true, true, false]"),
        ("res_scale", "first and last", None),
        ("published", "none", None),
    ],
)
def test_what_was_meant_by_a_value_of_another_type(key: str, value: str, better: str | None) -> None:
    (problem,) = complaints(HEAD + f"mixers: SepConv\n{key}: {value}\n")
    assert problem.code == "MX109" and problem.nearest == ((better,) if better else ())


def test_all_complaints_of_a_file_in_the_order_of_the_text() -> None:
    text = "name: X\nfamily: metaformer\nsize: s99\nmixers: SepConv kk=3 in stages 1-2, nope\nclases: 3\nimage: 0\n"
    assert [line.split(" (")[0] for line in shown(text)] == [
        "1:7 MX102 name 'X' is not made of small letters, digits, _ and -",
        "3:7 MX104 size cannot be 's99'",
        "4:17 MX101 unknown key 'kk'",
        "4:37 MX104 unknown mixer 'nope'",
        "5:1 MX101 unknown key 'clases'",
        "6:8 MX102 image: must be greater than or equal to 8, not 0",
    ]


def test_a_misspelt_family_key_is_named_as_such() -> None:
    assert shown("name: x\nfamly: metaformer\nmixers: SepConv\n") == [
        "1:1 MX103 family is missing (the frame: metaformer, resnet, ...)",
        "2:1 MX101 unknown key 'famly' (did you mean family?)",
    ]


def test_a_misspelt_required_key_is_both_missing_and_unknown() -> None:
    assert shown(HEAD + "mixer: SepConv\n") == [
        "1:1 MX103 mixers is missing (token mixer of each stage)",
        "4:1 MX101 unknown key 'mixer' (did you mean mixers?)",
    ]


def test_keys_of_a_published_row_are_suggested_among_its_own() -> None:
    text = HEAD + "mixers: SepConv\npublished:\n  - sorce: HyenaPixel\n    top: 3\n"
    said = "\n".join(shown(text))
    assert "source is missing" in said
    assert "6:5 MX101 unknown key 'sorce' (did you mean source?)" in said
    assert "7:5 MX101 unknown key 'top' (did you mean top1 or top5?)" in said


def test_one_mistake_in_all_stages_is_said_once() -> None:
    (problem,) = complaints(HEAD + "mixers: SepConv kk=3\n")
    assert problem.where == ("mixers", 0, "kk")


def test_nothing_of_pydantic_shows() -> None:
    for text, *_ in ONE:
        said = " ".join(shown(text))
        assert not any(word in said for word in ("pydantic", "constrained", "default_factory", "Undefined", "tuple["))


FIELDS = "depths: [1, 1, 1, 1]\ndims: [8, 16, 24, 32]\n"
ALIKE = [
    "SepConv k=3 in stages 1-2, attention Ch=8 in stages 3-4",
    "SepConv k=3 in stages 1–2, attention Ch=8",
    "attention Ch=8 in stages 3 and 4, sepconv kernel=3 in stage 1, SEPCONV k=3 in stage 2",
    "SepConv k=(3,3) in stages 1-2, attention Ch=(8,8)",
    "[SepConv k=3, SepConv k=3, attention Ch=8, attention Ch=8]",
    "[SepConv k=3, {type: SepConv, kernel: 3}, attention Ch=8, {type: attention, head_channels: 8}]",
    "{1-2: SepConv k=3, 3-4: attention Ch=8}",
    "{1 to 2: {type: SepConv, k: 3}, '3': attention Ch=8, 4: attention head_channels=8}",
    "\n  1–2: SepConv k=3\n  3–4: attention Ch=8",
    "\n- SepConv k=3\n- SepConv k=3\n- attention Ch=8\n- attention Ch=8",
    ">\n  SepConv k=3 in stages 1-2,\n  attention Ch=8",
    "'SepConv r=2 k=3 in stages 1-2, attention Ch=8'",
]


def digest(mixers: str, more: str = "", name: str = "x") -> str:
    return resolve(parse(f"name: {name}\nfamily: metaformer\n{FIELDS}mixers: {mixers}\n{more}")).digest


@pytest.mark.parametrize("form", ALIKE)
def test_all_forms_mean_the_same_network(form: str) -> None:
    assert digest(form) == digest(ALIKE[0])


def test_one_typed_form_for_all_stages() -> None:
    assert digest("{type: SepConv, k: [3, 5, 7, 9]}") == digest("SepConv k=(3,5,7,9)")
    assert digest("{type: SepConv, k: 3, r: 1}") == digest("SepConv r=1 k=3")
    assert digest("SepConv k=(3,5,7,9)") != digest("SepConv k=(3,5,9,7)")


def test_yaml_of_the_1_2_kind() -> None:
    spec = parse(HEAD + "mixers: SepConv\ndrop_path: 1e-1\nclasses: 0\nres_scale: [true, false, True, FALSE]\n")
    family: Any = spec.family
    assert (family.drop_path, family.classes, family.res_scale) == (0.1, 0, (True, False, True, False))


VALID = HEAD + "mixers: SepConv k=(3,5,7,9) in stages 1-4\nimage: [64, 96]\npublished:\n- {source: a, params: 1M}\n"


@given(st.integers(0, len(VALID)), st.integers(0, 12), st.text("ab1 :,-=()[]{}#'\"\n&*!|>%@é\t", max_size=6))
def test_any_damage_is_a_spec_or_a_complaint_with_a_place(at: int, cut: int, paste: str) -> None:
    text = VALID[:at] + paste + VALID[at + cut :]
    try:
        resolve(parse(text, "f.yaml"))
    except SpecError as error:
        lines = text.split("\n")
        for problem in error.problems:
            assert problem.code.startswith("MX") and problem.what and problem.span
            assert 1 <= problem.span.line <= len(lines)
            assert 1 <= problem.span.column <= len(lines[problem.span.line - 1]) + 1
