"""mixspec lint, as one types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mixspec.cli import app

GOOD = """\
name: tiny
family: metaformer
description: Small enough for tests.
depths: [1, 1, 1, 1]
dims: [8, 16, 24, 32]
mixers: SepConv
classes: 10
"""
BAD = GOOD.replace("tiny", "bad").replace("classes", "clases").replace("SepConv", "SepConv kk=3")

runner = CliRunner()


def run(*arguments: str, stdin: str | None = None) -> Result:
    return runner.invoke(app, ["lint", *arguments], input=stdin)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one good spec, one bad one, and what is no spec; it is the working directory."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "tiny.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "sub" / "bad.yaml").write_text(BAD, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("no spec", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def places(shown: str) -> list[str]:
    """``file:line:col: code`` of every complaint."""
    return [line.split(" ")[0] + " " + line.split(" ")[1] for line in shown.splitlines() if ": MX" in line]


def test_a_good_spec(folder: Path) -> None:
    assert run("tiny.yaml").exit_code == 0
    assert run("caformer_s18").exit_code == 0


def test_every_complaint_of_a_bad_spec(folder: Path) -> None:
    done = run("sub/bad.yaml")
    assert done.exit_code == 1
    assert places(done.stdout) == ["sub/bad.yaml:6:17: MX101", "sub/bad.yaml:7:1: MX101"]
    assert "unknown key 'clases' (did you mean classes?)" in done.stdout


def test_folders_are_searched(folder: Path) -> None:
    assert (
        places(run(".").stdout) == places(run("sub").stdout) == ["sub/bad.yaml:6:17: MX101", "sub/bad.yaml:7:1: MX101"]
    )


def test_standard_input() -> None:
    assert run("-", stdin=GOOD).exit_code == 0
    done = run("-", stdin=BAD)
    assert done.exit_code == 1 and places(done.stdout) == ["<stdin>:6:17: MX101", "<stdin>:7:1: MX101"]


def test_a_missing_file_is_a_complaint_like_any_other(folder: Path) -> None:
    done = run("tinny.yaml", "sub/bad.yaml")
    assert done.exit_code == 1
    assert "tinny.yaml:1:1: MX001" in places(done.stdout) and "did you mean tiny.yaml?" in done.stdout
    assert len(places(done.stdout)) == 3


def test_json_for_programs(folder: Path) -> None:
    done = run("sub/bad.yaml", "--json")
    first = json.loads(done.stdout)[0]
    assert done.exit_code == 1
    assert (first["code"], first["line"], first["column"]) == ("MX101", 6, 17)
    assert json.loads(run("tiny.yaml", "--json").stdout) == []
