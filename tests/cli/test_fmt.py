"""mixspec fmt, as one types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mixspec.cli import app

LOOSE = "name: small  \nfamily: metaformer\nsize: s12\nmixers: sepconv\n\n"
TIDY = "name: small\nfamily: metaformer\nsize: s12\nmixers: SepConv\n"
runner = CliRunner()


def run(*arguments: str, stdin: str | None = None) -> Result:
    return runner.invoke(app, ["fmt", *arguments], input=stdin)


@pytest.fixture
def loose(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(LOOSE, encoding="utf-8")
    return file


def test_check_and_diff_change_nothing(loose: Path) -> None:
    done = run("--check", str(loose))
    assert done.exit_code == 1 and f"would change {loose}" in done.stdout
    done = run("--diff", str(loose))
    assert done.exit_code == 1 and "-mixers: sepconv\n-\n+mixers: SepConv\n" in done.stdout
    assert loose.read_text(encoding="utf-8") == LOOSE


def test_writes_once(loose: Path) -> None:
    (loose.parent / "other.yml").write_text(LOOSE, encoding="utf-8")
    assert "2 files changed." in run(str(loose.parent)).stderr and loose.read_text(encoding="utf-8") == TIDY
    done = run("--check", str(loose))
    assert done.exit_code == 0 and done.stdout == ""


def test_a_file_is_replaced_as_a_whole_behind_its_link_and_with_its_permissions(loose: Path) -> None:
    loose.chmod(0o640)
    before, link = loose.stat().st_ino, loose.with_name("link.yaml")
    link.symlink_to(loose.name)
    assert run(str(link)).exit_code == 0
    assert link.is_symlink() and loose.read_text(encoding="utf-8") == TIDY
    assert loose.stat().st_mode & 0o777 == 0o640
    assert loose.stat().st_ino != before, "whoever reads the old file while it is written reads all of it"
    assert sorted(path.name for path in loose.parent.iterdir()) == ["link.yaml", "small.yaml"]


def test_standard_input() -> None:
    assert run("-", stdin=LOOSE).stdout == TIDY


def test_what_is_no_spec_is_left_alone(loose: Path) -> None:
    bad = loose.parent / "bad.yaml"
    bad.write_text("name: [\n", encoding="utf-8")
    done = run(str(loose.parent))
    assert done.exit_code == 1 and "bad.yaml:2:1: MX002" in done.stderr
    assert bad.read_text(encoding="utf-8") == "name: [\n" and loose.read_text(encoding="utf-8") == TIDY
