"""The page of baselines says what tracing timm's models says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mixspec.compiler import catalogue
from mixspec.compiler.cost import count
from mixspec.compiler.resolve import resolve

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "baselines.md"


@pytest.mark.parametrize("name", ["timm_deit_s", "volo_d1_lsa"])
def test_a_row_is_current(name: str) -> None:
    (line,) = re.findall(rf"^\| \[`{name}`\].*$", PAGE.read_text("utf-8"), flags=re.M)
    cost = count(resolve(catalogue.load(name)))
    assert f"| {cost.params:,} |" in line and f"| {cost.macs:,} |" in line


@pytest.mark.slow
def test_all_rows_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check", str(PAGE)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
