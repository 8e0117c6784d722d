"""README and docs say what the code says: generated parts are current, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_generated_parts_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


def test_folders_named_in_the_architecture_exist() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    listing = page.split("## Folders")[1].split("```")[1]
    for folder in re.findall(r"^(\w+)/", listing, flags=re.M):
        assert (ROOT / folder).is_dir(), folder
    rows = [re.split(r"\s{2,}", line.strip())[0] for line in listing.splitlines() if line.startswith("  ")]
    for name in " ".join(rows).replace("/", "").split():
        assert (ROOT / "compiler" / name).is_dir() or (ROOT / "compiler" / f"{name}.py").is_file(), name
