"""Sweeps as a user runs them: continued, shared by processes, tabulated and drawn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import ttest_ind
from typer.testing import CliRunner

from mixspec.cli import app
from mixspec.compiler import sweep
from mixspec.zoo.sweep.runs import Result, found, runs
from mixspec.zoo.sweep.table import rows, welch

TEXT = """
name: tiny
claim: Mixing over positions helps.
spec: {family: metaformer, image: 16, in_chans: 1, stem: half, depths: [1, 1], dims: [8, 16], head: linear}
recipe: digits
data: synthetic/textures?size=16&train=64&val=16&test=32
sweep: {mixers: [DW k=3, identity], recipe.epochs: [1], recipe.warmup_epochs: [0]}
seeds: 2
baseline: identity
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def run(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["sweep", *map(str, words)])
    assert done.exit_code == code, done.output
    return done.output


def test_run_continue_table_and_plot(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    assert "(done before)" not in run("run", file, "-o", out)
    first = run("table", file, "-o", out, "--json")
    results = sorted(out.glob("*/*/seed-*/result.json"))
    assert len(results) == 4
    results[0].unlink()  # as if stopped in that run
    again = run("run", file, "-o", out)
    assert again.count("(done before)") == 3
    assert run("table", file, "-o", out, "--json") == first, "a run made again finds the same"
    table = json.loads(first)
    assert [(row["point"], row["seeds"]) for row in table] == [("DW k=3", 2), ("identity", 2)]
    assert table[0]["gain"] == pytest.approx(table[0]["mean"] - table[1]["mean"])
    assert run("table", file, "-o", out, "--markdown").count("\n") == 4
    picture = tmp_path / "tiny.svg"
    run("plot", file, "-o", out, "-p", picture)
    assert "one stroke per seed" in picture.read_text(encoding="utf-8")


def test_results_of_another_recipe_are_not_taken_for_these(file: Path, tmp_path: Path) -> None:
    one = runs(sweep.read(file), tmp_path / "runs")[0]
    one.folder.mkdir(parents=True)
    fields = dict(point=one.point.label, data=one.data, seed=0, top1=1.0, loss=1.0, images=1, params=1, macs=1)
    (one.folder / "result.json").write_text(json.dumps({**fields, "identity": "other"}), encoding="utf-8")
    assert "MX842" in run("run", file, "-o", tmp_path / "runs", code=1)
    (one.folder / "result.json").write_text("{", encoding="utf-8")
    assert "MX843" in run("table", file, "-o", tmp_path / "runs", code=1)


def test_nothing_there_and_wrong_usage(file: Path, tmp_path: Path) -> None:
    assert "MX846" in run("table", file, "-o", tmp_path / "none", code=1)
    assert "is not KEY=VALUE" in run("run", file, "-o", tmp_path, "--workers", 2, "--set", "x", code=2)
    assert "--picture" in run("plot", file, "-o", tmp_path, "-p", tmp_path / "x.gif", code=2)
    assert "MX844" in run("run", file, "-o", tmp_path, "--workers", 2, "--set", "no_such=1", code=1)
    assert run("run", file, "-o", tmp_path / "none", "--dry-run").count("synthetic/textures") == 4


def result(point: str, seed: int, top1: float) -> Result:
    return Result(point, "digits", seed, top1, 0.0, 100, 10, 20, "")


def test_statistics(file: Path) -> None:
    plan = sweep.read(file)
    ours, base = (90.0, 92.0, 94.0), (80.0, 83.0, 81.0)
    results = [result("DW k=3", i, v) for i, v in enumerate(ours)] + [
        result("identity", i, v) for i, v in enumerate(base)
    ]
    table = rows(plan, results)
    assert (table[0].mean, table[0].sd) == (92.0, 2.0)
    assert table[0].p == pytest.approx(ttest_ind(ours, base, equal_var=False).pvalue)
    assert table[1].p is None and table[1].gain is None
    claims = {"better": "agrees", "same": "disagrees", "worse": "disagrees"}
    for claim, verdict in claims.items():
        expecting = replace(plan, sweep=plan.sweep.model_copy(update={"expect": {"DW k=3": claim}}))
        assert rows(expecting, results)[0].verdict == verdict
    assert rows(expecting, [*results[:1], *results[3:]])[0].verdict is None, "one seed has no spread"
    assert welch((1.0,), base) is None
    assert (welch((1.0, 1.0), (1.0, 1.0)), welch((1.0, 1.0), (2.0, 2.0))) == (1.0, 0.0)


@pytest.mark.slow
def test_two_workers_find_what_one_finds(file: Path, tmp_path: Path) -> None:
    """Two processes, started by submitit, each with its share of the runs."""
    run("run", file, "-o", tmp_path / "one")
    assert "4 runs made by 2 workers" in run("run", file, "-o", tmp_path / "two", "--workers", 2)
    plan = sweep.read(file)
    alone, shared = ([found(one) for one in runs(plan, tmp_path / name)] for name in ("one", "two"))
    assert alone == shared


@pytest.mark.slow
def test_a_worker_that_fails_says_why(file: Path, tmp_path: Path) -> None:
    file.write_text(TEXT.replace("synthetic/textures", "synthetic/texture"), encoding="utf-8")
    said = run("run", file, "-o", tmp_path / "runs", "--workers", 2, code=1)
    assert "MX845 2 of 2 workers failed, the first with:" in said
    assert "there is no task 'texture'" in said


@pytest.mark.slow
def test_ctrl_c_stops_the_workers_too(file: Path, tmp_path: Path) -> None:
    file.write_text(TEXT.replace("train=64", "train=20000"), encoding="utf-8")
    command = [sys.executable, "-m", "mixspec", "sweep", "run", file, "-o", tmp_path / "runs", "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while len(list(tmp_path.glob("runs/*/*/seed-*/updates.csv"))) < 2:
            assert process.poll() is None
            time.sleep(0.2)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "stopped, the workers too; the same command continues\n")
    for _ in range(300):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("a worker goes on")
