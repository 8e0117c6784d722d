"""Formatting: the usual notation, the rest of the text as it was, the same network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixspec.compiler.document import load
from mixspec.compiler.errors import SpecError
from mixspec.compiler.fmt import format_text
from mixspec.compiler.lint.config import Config
from mixspec.compiler.lint.fixing import fix
from mixspec.compiler.mixers import registry as mixers
from mixspec.compiler.parse import parse
from mixspec.compiler.per_stage import PerStage
from mixspec.compiler.resolve import resolve

SMALL = "name: small\nfamily: metaformer\nsize: s12\nmixers: {}\n"
SPECS = sorted(
    path
    for path in (Path(__file__).parents[2] / "specs").glob("*/*.yaml")
    if path.parent.name not in ("recipes", "sweeps", "timm")
)


@pytest.mark.parametrize(
    "written, usual",
    [
        ("sepconv", "SepConv"),
        ("SepConv kernel=5   ratio=3", "SepConv k=5 r=3"),
        ("SepConv r=3 k=5", "SepConv k=5 r=3"),
        ("SepConv k=7", "SepConv k=7"),
        ("SepConv in stages 1–2, attention", "SepConv in stages 1-2, attention in stages 3-4"),
        ("SepConv in stages 1 to 2, attention in stages 3 and 4", "SepConv in stages 1-2, attention in stages 3-4"),
        ("SepConv in stage 1, SepConv in stages 2-4", "SepConv"),
        ("SepConv k=3 in stage 1, SepConv k=5 in stages 2-4", "SepConv k=(3,5,5,5)"),
        ("{1-2: SepConv, 3-4: attention}", "SepConv in stages 1-2, attention in stages 3-4"),
        ("[SepConv, SepConv, SepConv, SepConv]", "SepConv"),
        ("{type: SepConv, kernel: [3, 5, 7, 9]}", "SepConv k=(3,5,7,9)"),
        ("'SEPCONV'", "'SepConv'"),
        ("attention bias=true", "attention bias=true"),
    ],
)
def test_usual_notation(written: str, usual: str) -> None:
    text = SMALL.format(written)
    assert format_text(text) == SMALL.format(usual)
    assert resolve(parse(text)).digest == resolve(parse(SMALL.format(usual))).digest


def test_comments_order_and_layout_stay() -> None:
    text = """# a comment

mixers: sepconv   # why: # twice
name:   small
size: s12

family:  metaformer # here
norm: {type: layernorm, bias: false}
description: |
  two lines...
  of text
""".replace("...", "   ")
    usual = text.replace("sepconv", "SepConv").replace("{type: layernorm, bias: false}", "LayerNorm bias=false")
    assert format_text(text) == usual


@pytest.mark.parametrize("path", SPECS[::5], ids=lambda path: path.stem)
def test_specs_in_json(path: Path) -> None:
    """One pair of brackets around everything: notation with commas needs quotes there."""
    values = load(path.read_text(encoding="utf-8")).data
    registry = PerStage(mixers)
    if isinstance(values, dict) and "mixers" in values:
        values["mixers"] = registry.spread(values["mixers"], len(parse(path.read_bytes()).family.depths))
    text = json.dumps(values, ensure_ascii=False)
    usual = format_text(text)
    assert format_text(usual) == usual and resolve(parse(usual)).digest == resolve(parse(path.read_bytes())).digest
    fixed = fix(text, str(path), Config())
    assert fixed.text == usual and not [one for one in fixed.findings if one.severity == "error"]


@pytest.mark.parametrize(
    "said, usual",
    [
        ("[SepConv, SepConv, attention, attention]", '"SepConv in stages 1-2, attention in stages 3-4"'),
        ("'sepconv in stages 1-2, attention'", "'SepConv in stages 1-2, attention in stages 3-4'"),
        ("{type: sepconv, k: [3, 3, 5, 5]}", '"SepConv k=(3,3,5,5)"'),
        ("sepconv k=3", "SepConv k=3"),
    ],
)
def test_notation_inside_brackets(said: str, usual: str) -> None:
    text = f"&a {{name: small, family: metaformer, size: s12, mixers: {said}, description: d}}\n"
    assert format_text(text) == text.replace(said, usual)


@pytest.mark.parametrize("extra", ["*m", "{type: dw, k: 3}"])
def test_an_anchor_that_is_used_elsewhere_stays(extra: str) -> None:
    text = "name: x\nfamily: swin\nsize: t\nmixers: {1-2: &m DW, 3-4: *m}\nextra: " + extra + "\n"
    whole = text.replace("{1-2: &m DW, 3-4: *m}", "DW").replace(extra, "DW k=3")
    assert format_text(text) == (text if extra == "*m" else whole)


def test_operators_of_single_blocks() -> None:
    text = (
        SMALL.format("SepConv")
        + "blocks:\n  stages.0.blocks.0: dw  k=3  # why\n  stages.1.blocks.1: {type: DW, k: 5}\n"
    )
    usual = text.replace("dw  k=3", "DW k=3").replace("{type: DW, k: 5}", "DW k=5")
    assert format_text(text) == usual and format_text(usual) == usual
    assert resolve(parse(text)).digest == resolve(parse(usual)).digest


def test_a_block_is_left_as_it_is() -> None:
    text = SMALL.replace(": {}", ":{}").format("\n  - sepconv  # first\n  - SepConv\n  - SepConv\n  - SepConv")
    assert format_text(text) == text


@pytest.mark.parametrize("ends", ["", "\n\n\n", "\r\n", "   ", " \n"])
def test_white_space(ends: str) -> None:
    text = "\ufeff" + SMALL.format("SepConv").replace("\n", " \t\r\n") + "classes: 7" + ends
    assert format_text(text) == "\ufeff" + SMALL.format("SepConv") + "classes: 7\n"


def test_what_is_no_spec_is_refused() -> None:
    with pytest.raises(SpecError, match="MX104"):
        format_text(SMALL.format("SepCnov"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_shipped_specs_are_formatted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert format_text(text) == text


OPERATORS = st.sampled_from(
    ["SepConv", "sepconv k=3", "SepConv kernel=9 r=1", "attention", "Attention Ch=16", "identity"]
)


@given(st.lists(OPERATORS, min_size=4, max_size=4), st.sampled_from([" ", "  "]))
def test_twice_is_once_and_the_network_stays(stages: list[str], space: str) -> None:
    clauses = f",{space}".join(f"{operator}{space}in stage {stage}" for stage, operator in enumerate(stages, 1))
    text = SMALL.format(clauses)
    once = format_text(text)
    assert format_text(once) == once and len(once) <= len(text)
    assert resolve(parse(once)).digest == resolve(parse(text)).digest
