"""A thousand specs checked and counted beside linters that know only YAML, or only a schema."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mixspec.compiler.schema import schema

from ._measure import Figure, process
from .lint_speed import texts
from .startup import MIXSPEC

YAMLLINT, SCHEMA = 1 / 8, 1 / 6
LIMIT = (
    "A spec is ten lines long, which yamllint takes about a millisecond for. Of our time, reading the YAML is about a "
    "twentieth; the rest is starting, resolving, verifying and counting the networks, which yamllint knows nothing of."
)
LIMITS = '[tool.mixspec]\nmax-params = "1T"\nmax-macs = "999T"\n'
"""A budget, so that the cost of every network is counted."""


def figures(quick: bool) -> Iterator[Figure]:
    """A process that lints a thousand specs, the shipped ones and variants with other class counts: each is read,
    resolved, its shapes verified, its cost counted and compared with what its paper prints. yamllint looks at the form
    of the text, check-jsonschema at its types against our JSON Schema."""
    with tempfile.TemporaryDirectory() as name:
        folder, number = Path(name), 100 if quick else 1000
        (folder / "specs").mkdir()
        for file, text in texts(number).items():
            (folder / "specs" / file).write_text(text, "utf-8")
        (folder / "pyproject.toml").write_text(LIMITS, "utf-8")
        (folder / "schema.json").write_text(json.dumps(schema()), "utf-8")
        files = sorted((folder / "specs").iterdir())
        ours = process(sys.executable, *MIXSPEC, "lint", "specs", cwd=folder, ends=(0, 1))
        yamllint = process(_beside("yamllint"), "-d", "relaxed", folder / "specs", ends=(0, 1))
        checked = process(_beside("check-jsonschema"), "--schemafile", folder / "schema.json", *files)
        yield Figure(f"lint + count, {number:,} specs", ours, "yamllint", yamllint, goal=YAMLLINT, note=LIMIT)
        yield Figure(f"lint + count, {number:,} specs", ours, "check-jsonschema", checked, goal=SCHEMA, warm_up=False)


def _beside(program: str) -> str:
    """A program of this interpreter's environment."""
    found = shutil.which(program, path=str(Path(sys.executable).parent))
    if found is None:
        raise FileNotFoundError(f"{program}: install the extra `bench`")
    return found
