"""mixspec explain, as one types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mixspec.cli import app
from mixspec.compiler.explain import REGISTRIES, markdown
from mixspec.compiler.lint.rule import rules

DOCS = Path(__file__).parents[2] / "docs"
runner = CliRunner()


def run(*arguments: str) -> Result:
    return runner.invoke(app, ["explain", *arguments])


def test_a_rule() -> None:
    done = run("MX203")
    assert done.exit_code == 0
    assert all(word in done.stdout for word in ("MX203 does-not-divide", "What", "Why", "Example", "attention Ch=24"))
    assert run("mx203").stdout == done.stdout


def test_an_operator() -> None:
    shown = run("cadasp").stdout
    assert "arXiv:2210.17141" in shown and "agg, kernel" in shown and "dynamic" in shown


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.kind)
def test_every_operator_has_a_page(registry: object) -> None:
    for name in registry:  # type: ignore[attr-defined]
        done = run(name)
        assert done.exit_code == 0 and "Keys" in done.stdout, name
        assert f" ({registry.word})\n" in done.stdout, name  # type: ignore[attr-defined]


def test_an_unknown_name() -> None:
    done = run("cadsp")
    assert done.exit_code == 1 and "did you mean CADAsp" in done.stderr
    assert "did you mean Hpx " in run("HyenaPixel").stderr
    assert run().exit_code == 2


def test_all_rules() -> None:
    lines = run("--all").stdout.splitlines()
    assert len(lines) == len(rules()) and lines[0].startswith("MX001")


def test_page_of_the_documentation_is_current() -> None:
    """Written by `mixspec explain --all --markdown > docs/rules.md`."""
    assert run("--all", "--markdown").stdout == markdown() == (DOCS / "rules.md").read_text(encoding="utf-8")
