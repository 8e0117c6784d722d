"""A sweep's file: its points, its labels, and what is said about mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mixspec.compiler import sweep
from mixspec.compiler.document import load
from mixspec.compiler.errors import SpecError
from mixspec.compiler.fmt import format_text
from mixspec.compiler.lint.engine import lint
from mixspec.zoo.sweep.runs import runs

HEAD = "name: tried\nspec: digits_cadasp\nrecipe: digits\n"


def plan(text: str) -> sweep.Plan:
    return sweep.typed(load(HEAD + text, "tried.yaml"))


def complaints(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        plan(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_grid_is_every_combination_named_by_what_varies() -> None:
    found = plan("sweep: {mixers: [DW, pooling], recipe.lr: [1e-3, 2e-3], recipe.epochs: [5]}\nseeds: [3, 5]")
    assert [point.label for point in found.points] == [
        "DW, lr=0.001", "DW, lr=0.002", "pooling, lr=0.001", "pooling, lr=0.002",
    ]  # fmt: skip
    assert [point.recipe.lr for point in found.points] == [1e-3, 2e-3, 1e-3, 2e-3]
    assert {point.recipe.epochs for point in found.points} == {5}
    assert found.sweep.all_seeds == (3, 5)
    assert found.points[0].network.digest != found.points[2].network.digest


def test_a_list_of_points_may_name_them_and_their_data() -> None:
    found = plan(
        'sweep:\n- {label: plain, mixers: DW}\n- {mixers: "CADAsp b=(1,2,3)", data: synthetic/pairs}\nseeds: 2'
    )
    assert [(point.label, point.data) for point in found.points] == [
        ("plain", None),
        ("CADAsp b=(1,2,3), data=synthetic/pairs", "synthetic/pairs"),
    ]
    assert [mixer.base_kernels for mixer in found.points[1].network.family.mixers] == [1, 2, 3]


def test_a_spec_may_be_written_out() -> None:
    text = (
        "name: own\nrecipe: digits\nspec: {family: metaformer, image: 32, depths: [1, 1], dims: [8, 16], stem: half}\n"
    )
    found = sweep.typed(load(text + "sweep: {mixers: [DW, identity]}", "own.yaml"))
    assert [str(point.network.family.mixers[0]) for point in found.points] == ["DW", "identity"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sweep: {mixers: [DW, DWW]}", "tried.yaml:4:22: MX104 DWW: unknown mixer 'DWW' (did you mean DW"),
        ("sweep: {mixers: [DW, attention Ch=7]}", "tried.yaml:4:22: MX203 attention Ch=7"),
        ("sweep: {recipe.lrr: [1e-3]}", "MX101 lrr=0.001: a recipe has no field 'lrr' (did you mean lr"),
        ("sweep: {recipe.lr: [-1.0]}", "tried.yaml:4"),
        ("sweep: {mixers: [DW, DW]}", "MX102 two points are called 'DW' (give a label)"),
        ("sweep: {mixers: [DW, pooling]}\nbaseline: poling", "tried.yaml:5:11: MX104 there is no point 'poling'"),
        (
            "sweep: {mixers: [DW, pooling]}\nbaseline: DW\nexpect: {poling: same}",
            "tried.yaml:6:10: MX104 there is no point",
        ),
        ("sweep: {mixers: [DW, pooling]}\nexpect: {DW: same}", "nothing to compare with"),
        ("sweep: {}\nseeds: 0", "tried.yaml:5:8"),
        ("sweap: {mixers: [DW]}", "tried.yaml:4:1: MX101 unknown key 'sweap' (did you mean sweep?)"),
        ("sweep: {dims: [[16, 32], [16, 24]]}", "MX204"),
        ("sweep: {recipe.lr: [1.0], recipe.epochs: [" + ", ".join(map(str, range(3, 1010))) + "]}", "at most 1,000"),
    ],
)
def test_mistakes_are_said_where_they_stand(text: str, said: str) -> None:
    found = complaints(text)
    assert any(said in line for line in found), found


def test_every_mistaken_point_is_reported() -> None:
    assert len(complaints("sweep: {mixers: [DWW, DW, attenton]}")) == 2


def test_unknown_names() -> None:
    with pytest.raises(SpecError, match="MX841 there is no sweep"):
        sweep.read("no_such_sweep")
    with pytest.raises(SpecError, match=r"tried\.yaml:2:7: MX001 there is no model 'digits_cadaspp'"):
        sweep.typed(load(HEAD.replace("digits_cadasp", "digits_cadaspp") + "sweep: {mixers: [DW]}", "tried.yaml"))


def test_shipped_sweeps_are_legal_and_say_what_they_test() -> None:
    for name in sweep.names():
        found = sweep.read(name)
        assert found.sweep.name == name
        assert found.sweep.claim and found.sweep.source and found.sweep.baseline


def test_sweeps_are_linted_and_formatted() -> None:
    good = HEAD + "sweep: {mixers: [DW, pooling]}\nbaseline: DW\n"
    assert lint(good, "sweeps/tried.yaml") == []
    found = lint(good.replace("pooling", "poling").replace("baseline", "basline"), "sweeps/tried.yaml")
    assert [(one.code, one.span.line) for one in found] == [("MX101", 5)]
    found = lint(good.replace("pooling", "poling"), "sweeps/tried.yaml")
    assert [(one.code, one.span.line, one.span.column) for one in found] == [("MX104", 4, 22)]
    assert format_text(good.replace("DW\n", "DW  \n"), "sweeps/tried.yaml") == good


def test_the_study_s_results_are_those_of_the_shipped_sweeps() -> None:
    """The page tells of the networks and recipes that ship, with at least five seeds each."""
    kept = json.loads((Path(__file__).parents[2] / "docs" / "study.json").read_text(encoding="utf-8"))
    assert sorted(kept) == sweep.names()
    for name, results in kept.items():
        planned = {run.identity: run for run in runs(sweep.read(name), Path())}
        assert {one["identity"] for one in results} == set(planned)
        assert len({one["seed"] for one in results}) >= 5
