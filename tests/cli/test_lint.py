"""mixspec lint, as one types it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mixspec.cli import app

GOOD = "name: tiny\nfamily: metaformer\ndepths: [1, 1, 1, 1]\ndims: [8, 16, 24, 32]\nmixers: SepConv\nclasses: 10\n"
GOOD += "description: a small network\nimage: 448\n"
BAD = GOOD.replace("classes", "clases").replace("SepConv", "SepConv kk=3").replace("tiny", "bad")

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
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def places(shown: str) -> list[str]:
    """``file:line:col: code`` of every finding."""
    return [line.split(" ")[0] + " " + line.split(" ")[1] for line in shown.splitlines() if ": MX" in line]


BOTH = ["sub/bad.yaml:5:17: MX101", "sub/bad.yaml:6:1: MX101"]


def test_a_good_spec(folder: Path) -> None:
    done = run("tiny.yaml")
    assert (done.exit_code, done.stdout) == (0, "") and "1 spec checked, nothing found." in done.stderr
    assert run("caformer_s18").exit_code == 0


def test_every_finding_of_a_bad_spec(folder: Path) -> None:
    done = run("sub/bad.yaml")
    assert done.exit_code == 1 and places(done.stdout) == BOTH
    assert "unknown key 'clases' (did you mean classes?)" in done.stdout
    assert "5 | mixers: SepConv kk=3\n  |                 ^^\n" in done.stdout


def test_folders_are_searched(folder: Path) -> None:
    for hidden in (".git", "sub/.cache", "entries"):
        (folder / hidden).mkdir()
        (folder / hidden / "worse.yaml").write_text(BAD, encoding="utf-8")
    (folder / "sub" / "loop").symlink_to("..")
    assert places(run(".").stdout) == places(run("sub").stdout) == places(run().stdout) == BOTH


def test_a_file_that_cannot_be_read_stops_nothing(folder: Path) -> None:
    (folder / "gone.yaml").symlink_to("nowhere.yaml")
    (folder / "again.yaml").symlink_to("again.yaml")
    (folder / "sub.yaml").mkdir()
    (folder / "sub" / "worse.yml").write_text(BAD.replace("bad", "worse"), encoding="utf-8")
    done = run()
    assert places(done.stdout) == [
        "again.yaml:1:1: MX001",
        "gone.yaml:1:1: MX001",
        *BOTH,
        *(place.replace("bad.yaml", "worse.yml") for place in BOTH),
    ]
    assert "a link to nowhere.yaml, where no file is" in done.stdout
    assert done.stderr.startswith("5 specs checked")


def test_a_file_named_twice_is_checked_once(folder: Path) -> None:
    done = run(".", "./sub/bad.yaml", str(folder / "sub" / "bad.yaml"))
    assert places(done.stdout) == BOTH and done.stderr.startswith("2 specs checked")


@pytest.mark.parametrize("name", ["concise", "full", "github", "gitlab", "json", "junit", "sarif"])
def test_a_file_name_that_is_no_utf8(folder: Path, name: str) -> None:
    (folder / os.fsdecode(b"caf\xe9.yaml")).write_text(GOOD, encoding="utf-8")
    done = run(".", "--select", "MX502", "--output-format", name)
    assert done.exit_code == 1 and done.exception.code == 1  # type: ignore[union-attr]
    assert ("caf%E9.yaml" if name == "sarif" else "caf\\udce9.yaml") in done.stdout.replace("\\\\", "\\")


def test_standard_input(folder: Path) -> None:
    assert run("-", stdin=GOOD).exit_code == 0
    done = run("-", stdin=BAD)
    assert done.exit_code == 1 and places(done.stdout) == ["<stdin>:5:17: MX101", "<stdin>:6:1: MX101"]
    named = run("-", "--stdin-filename", "sub/worse.yaml", stdin=BAD)
    assert places(named.stdout)[0] == "sub/worse.yaml:1:7: MX502"


def test_a_missing_file_is_a_finding_like_any_other(folder: Path) -> None:
    (folder / "other.yaml").write_text(GOOD, encoding="utf-8")
    assert "did you mean" not in run("nope.yaml").stdout
    done = run("tinny.yaml", "nosuch", "sub/bad.yaml")
    assert done.exit_code == 1
    assert places(done.stdout)[:2] == ["tinny.yaml:1:1: MX001", "nosuch:1:1: MX001"]
    assert "did you mean tiny.yaml?" in done.stdout and len(places(done.stdout)) == 4
    assert done.stderr.startswith("3 specs checked")


def test_json_for_programs(folder: Path) -> None:
    done = run("sub/bad.yaml", "--json")
    first = json.loads(done.stdout)[0]
    assert done.exit_code == 1
    assert (first["code"], first["line"], first["column"], first["end_column"]) == ("MX101", 5, 17, 19)
    assert first["fix"]["edits"][0]["text"] == "k"
    assert json.loads(run("tiny.yaml", "--json").stdout) == []


@pytest.mark.parametrize("name", ["concise", "full", "github", "gitlab", "json", "junit", "sarif"])
def test_every_format_prints_both_findings(folder: Path, name: str) -> None:
    done = run("sub/bad.yaml", "--output-format", name)
    assert done.exit_code == 1 and "clases" in done.stdout and done.stdout.endswith("\n")
    assert run("tiny.yaml", "--output-format", name).exit_code == 0


def test_selection(folder: Path) -> None:
    assert run("sub/bad.yaml", "--ignore", "MX101").exit_code == 0
    assert run("sub/bad.yaml", "--select", "MX2, MX5").exit_code == 0
    assert places(run("sub/bad.yaml", "--select", "MX1").stdout) == BOTH
    assert run("sub/bad.yaml", "--exit-zero").exit_code == 0


def test_wrong_usage(folder: Path) -> None:
    for arguments in (["--select", "MX9"], ["--select", ""], ["--output-format", "jsn"], ["--nosuch"]):
        assert run("tiny.yaml", *arguments).exit_code == 2
    (folder / "empty").mkdir()
    assert run("empty").exit_code == 2


def test_configuration(folder: Path) -> None:
    config = folder / "pyproject.toml"
    config.write_text('[tool.mixspec]\nper-file-ignores = { "sub/*" = ["MX1"] }\n', encoding="utf-8")
    assert run("sub/bad.yaml").exit_code == 0
    other = folder / "other.toml"
    other.write_text('[tool.mixspec]\nmax-params = "1k"\n', encoding="utf-8")
    done = run("tiny.yaml", "--config", "other.toml")
    assert done.exit_code == 1 and places(done.stdout) == ["tiny.yaml:1:7: MX301"]
    (folder / "wrong.toml").write_text('[tool.mixspec]\nmax-parms = "1k"\n', encoding="utf-8")
    wrong = run("tiny.yaml", "--config", "wrong.toml")
    assert wrong.exit_code == 2 and "max-params" in wrong.stderr


def test_fix_writes_and_a_second_run_changes_nothing(folder: Path) -> None:
    bad = folder / "sub" / "bad.yaml"
    text = "# a comment\n" + BAD.replace("SepConv kk=3", "sepconv  kk=3   # widths") + "\n\n"
    bad.write_text(text, encoding="utf-8")
    shown = run("sub/bad.yaml", "--diff", "--unsafe-fixes")
    assert shown.exit_code == 1 and bad.read_text(encoding="utf-8") == text
    assert "+mixers: SepConv k=3   # widths\n" in shown.stdout
    assert run("sub/bad.yaml", "--fix").exit_code == 1  # unsafe ones are left
    done = run("sub/bad.yaml", "--fix", "--unsafe-fixes")
    fixed = bad.read_text(encoding="utf-8")
    assert done.exit_code == 0 and fixed == "# a comment\n" + BAD.replace(
        "SepConv kk=3", "SepConv k=3   # widths"
    ).replace("clases", "classes")
    assert run("sub/bad.yaml", "--fix", "--unsafe-fixes").exit_code == 0
    assert bad.read_text(encoding="utf-8") == fixed


def test_fix_of_standard_input_goes_to_standard_output(folder: Path) -> None:
    done = run("-", "--fix", "--unsafe-fixes", stdin=BAD)
    assert done.exit_code == 0 and done.stdout == BAD.replace("kk", "k").replace("clases", "classes")


def test_a_name_used_twice(folder: Path) -> None:
    (folder / "sub" / "tiny.yaml").write_text(GOOD, encoding="utf-8")
    assert places(run("--select", "MX507").stdout) == ["tiny.yaml:1:7: MX507"]


def test_all_shipped_specs_are_clean() -> None:
    shipped = Path(__file__).parents[2] / "specs"
    done = run(str(shipped), "--output-format", "concise")
    failing = [line for line in done.stdout.splitlines() if " info: " not in line]
    assert (failing, done.exit_code) == ([], 0)
