"""Training recipes are linted like specs: exact tokens, nearest values, suppression, repairs."""

from __future__ import annotations

import pytest

from mixspec.compiler.catalogue import FOLDER
from mixspec.compiler.fmt import format_text
from mixspec.compiler.lint.config import Config
from mixspec.compiler.lint.engine import lint
from mixspec.compiler.lint.fixing import fix

GOOD = "name: short\nepochs: 10\nbatch_size: 64\nlr: 1e-3\n"
RECIPES = sorted((FOLDER / "recipes").glob("*.yaml"))


def tokens(text: str, source: str = "recipes/short.yaml") -> list[tuple[str, int, str]]:
    """Code, line and token of every finding."""
    lines = text.split("\n")
    found = lint(text, source)
    return [
        (one.code, one.span.line, lines[one.span.line - 1][one.span.column - 1 : one.span.end_column - 1])
        for one in found
    ]


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_shipped_recipes_are_right(file: object) -> None:
    text = FOLDER.joinpath(str(file)).read_text(encoding="utf-8")
    assert lint(text, str(file)) == []
    assert format_text(text, str(file)) == text


def test_every_mistake_at_its_token_in_one_run() -> None:
    text = GOOD + "opt: adamww\nwieght_decay: -1.0\nsched: cosin\nopt_betas: [0.9, 2.0]\nwarmup_epochs: 12\n"
    assert tokens(text) == [
        ("MX104", 5, "adamww"),
        ("MX101", 6, "wieght_decay"),
        ("MX102", 6, "-1.0"),
        ("MX104", 7, "cosin"),
        ("MX102", 8, "2.0"),
        ("MX102", 9, "12"),
    ]


def test_contradictions_are_told_together() -> None:
    text = GOOD + "lr_base: 3e-3\ngrad_accum_steps: 5\nzoom: [1.1, 0.9]\nsched: multistep\n"
    assert tokens(text) == [
        ("MX102", 5, "3e-3"),
        ("MX102", 6, "5"),
        ("MX102", 7, "[1.1, 0.9]"),
        ("MX102", 8, "multistep"),
    ]


def test_a_broken_value_is_no_reason_for_another_complaint() -> None:
    assert tokens(GOOD.replace("10", "-10") + "warmup_epochs: 5\n") == [("MX102", 2, "-10")]
    assert tokens(GOOD.replace("64", "six") + "grad_accum_steps: 7\n") == [("MX109", 3, "six")]
    assert tokens(GOOD.replace("1e-3", "-1.0")) == [("MX102", 4, "-1.0")]


def test_what_is_missing_is_told_at_the_first_key() -> None:
    assert tokens("# short\nname: short\nepochs: 3\nlr: 1e-3\n") == [("MX103", 2, "name")]
    assert tokens("batch_siz: 3\nname: short\nepochs: 3\nlr: 1e-3\n") == [("MX101", 1, "batch_siz")]


def test_a_recipe_is_known_by_what_it_says_or_by_its_folder() -> None:
    assert tokens(GOOD, "anywhere/short.yaml") == []
    assert tokens("name: short\n", "anywhere/short.yaml") == [("MX103", 1, "name")], "a spec without a family"
    assert {line for _, line, _ in tokens("epochs: 3\n")} == {1}
    spec = "name: short\nfamily: metaformer\nsize: s12\nmixers: SepConv\ndescription: a spec\n"
    assert tokens(spec) == []


def test_style_suppression_and_repairs() -> None:
    assert tokens(GOOD, "recipes/long.yaml") == [("MX502", 1, "short")]
    assert tokens(GOOD + "smoothing: 2.0  # mixspec: ignore[MX102]\n") == []
    assert tokens(GOOD + "smoothing: 0.1  # mixspec: ignore[MX102]\n") == [("MX508", 5, "MX102")]
    broken = GOOD + "wieght_decay: 0.05   \nsched: cosin\ngrad_accum_steps: 5\n"
    fixed = fix(broken, "recipes/short.yaml", Config(), unsafe=True)
    assert fixed.text == GOOD + "weight_decay: 0.05\nsched: cosine\ngrad_accum_steps: 4\n"
    assert fixed.findings == []
    assert format_text(GOOD + "smoothing: 0.1  \n") == GOOD + "smoothing: 0.1\n"


@pytest.mark.parametrize(
    "text", ["[1, 2]\n", "epochs\n", "epochs: {a: 1}\nbatch_size: [x]\n", "1: 2\n? [a]\n: b\n", "\n"]
)
def test_anything_is_judged(text: str) -> None:
    assert all(one.span.line >= 1 for one in lint(text, "recipes/short.yaml"))
    assert lint(text, "recipes/short.yaml")
