"""mixspec diff, as one types it, in a repository of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mixspec.cli import app

SMALL = "name: small\nfamily: metaformer\nsize: s12\nmixers: SepConv\n"
runner = CliRunner()


def run(*arguments: str) -> Result:
    return runner.invoke(app, ["diff", *arguments])


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two commits: a spec changed, one added, one removed, one broken, and a file that is none."""
    folder = tmp_path / "r"
    (folder / "specs").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "specs" / "small.yaml").write_text(SMALL, encoding="utf-8")
    (folder / "specs" / "gone.yaml").write_text(SMALL.replace("small", "gone").replace("s12", "s4"), encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    (folder / "specs" / "small.yaml").write_text(SMALL.replace("SepConv", "attention"), encoding="utf-8")
    (folder / "specs" / "new.yaml").write_text(SMALL.replace("small", "new").replace("s12", "b36"), encoding="utf-8")
    (folder / "specs" / "gone.yaml").unlink()
    (folder / "notes.md").write_text("none", encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "two")
    monkeypatch.chdir(folder)
    return folder


def test_two_shipped_specs() -> None:
    done = run("convformer_s18", "caformer_s18")
    assert done.exit_code == 0 and "26,341,656 (-432,792; -1.6%)" in done.stdout


def test_revisions(repository: Path) -> None:
    done = run("HEAD~1..HEAD")
    assert done.exit_code == 0
    titles = [line for line in done.stdout.splitlines() if line and not line.startswith(" ")]
    assert sorted(titles) == ["gone: removed", "new: added", "small"]
    assert run("HEAD..HEAD").stdout == "No spec changed.\n"
    [change] = json.loads(run("HEAD~1..HEAD", "specs/small.yaml", "--format", "json").stdout)
    assert [change] == json.loads(run("HEAD~1..HEAD", "specs/small.yaml", "--json").stdout)
    assert change["settings"]["mixers.0.type"] == {"old": "SepConv", "new": "attention"}


def test_both_endings_of_yaml(repository: Path) -> None:
    (repository / "specs" / "small.yaml").rename(repository / "specs" / "small.yml")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "three")
    (repository / "specs" / "small.yml").write_text(SMALL.replace("SepConv", "DW"), encoding="utf-8")
    [change] = json.loads(run("HEAD..", "--format", "json").stdout)
    assert change["settings"]["mixers.0.type"] == {"old": "attention", "new": "DW"}


def test_three_dots_leave_out_what_the_other_side_did(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "side", "HEAD~1")
    (repository / "specs" / "side.yaml").write_text(SMALL.replace("small", "side"), encoding="utf-8")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "three")
    assert "new: removed" in run("@{-1}..side").stdout
    assert run("@{-1}...side").stdout.startswith("side: added")
    assert "small" not in run("@{-1}...side").stdout


def test_outside_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    done = run("main..HEAD")
    assert done.exit_code == 2 and "no git repository" in " ".join(done.stderr.replace("│", " ").split())


def test_working_tree_and_one_file_of_a_revision(repository: Path) -> None:
    (repository / "specs" / "small.yaml").write_text(SMALL, encoding="utf-8")
    assert "attention -> SepConv" in run("HEAD..").stdout
    assert "the same network" in run("HEAD~1:specs/small.yaml", "specs/small.yaml").stdout
    assert run("HEAD~1..HEAD", "--format", "markdown").stdout.count("| **total** |") == 3


def test_a_broken_spec_does_not_hide_the_others(repository: Path) -> None:
    (repository / "specs" / "new.yaml").write_text(SMALL.replace("SepConv", "SepCnov"), encoding="utf-8")
    (repository / "specs" / "small.yaml").write_text(SMALL, encoding="utf-8")
    done = run("HEAD..")
    assert done.exit_code == 1 and "attention -> SepConv" in done.stdout and "new.yaml:4:9: MX104" in done.stderr


def test_wrong_usage(repository: Path) -> None:
    for arguments in (
        ["small"],
        ["nosuch..HEAD"],
        ["--", "--output=x..HEAD"],
        ["HEAD:nosuch.yaml", "specs/small.yaml"],
    ):
        done = run(*arguments)
        assert done.exit_code == 2 and "fatal" not in done.stderr
    assert not (repository / "x").exists()
