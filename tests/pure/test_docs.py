"""README and docs say what the code says: generated parts are current, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mixspec.compiler import catalogue
from mixspec.compiler.resolve import resolve

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_generated_parts_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check", "--without-torch"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_printed_row_has_a_line_on_one_of_the_pages() -> None:
    text = "".join((ROOT / "docs" / page).read_text("utf-8") for page in ("published.md", "baselines.md"))
    lines = Counter(re.findall(r"^\| \[`([\w-]+)`\]\(\.\./specs/", text, flags=re.M))
    specs = {name: resolve(catalogue.load(name)).about for name in catalogue.names()}
    assert lines == {name: len(about.published) for name, about in specs.items() if about.published}
    assert "| contradicted |" not in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


def test_folders_named_in_the_architecture_exist() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    listing = page.split("## Folders")[1].split("```")[1]
    inside = ROOT
    for line in listing.strip().splitlines():
        if not line.startswith("  "):
            inside = ROOT / line.split("/")[0]
            assert inside.is_dir(), line
            continue
        for name in re.split(r"\s{2,}", line.strip())[0].replace("/", "").split():
            assert (inside / name).is_dir() or (inside / f"{name}.py").is_file(), f"{inside.name}/{name}"


def test_python_of_the_readme_counts_without_torch() -> None:
    page = (ROOT / "README.md").read_text("utf-8")
    text = re.search(r"```yaml\n(# specs/metaformer/hpxaformer_s18.yaml\n.*?)```", page, flags=re.S)
    lines = [line for line in page.splitlines() if line.startswith(("network = mixspec.", "mixspec.count("))]
    assert text and len(lines) == 2
    program = f"import sys, mixspec\ntext = {text[1]!r}\n{lines[0]}\nprint({lines[1].split('#')[0]})\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program + "assert 'torch' not in sys.modules"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 13e9
