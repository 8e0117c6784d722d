"""Libraries that take backbones take ours: the examples run, and the page that lists them is current."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
QUICK = ("metaformer", "resnet", "isotropic")
"""Families whose networks run here; all of them in the slow test."""


@pytest.fixture(scope="module")
def matrix() -> object:
    sys.path.insert(0, str(DOCS))
    return importlib.import_module("matrix")


def rows() -> dict[str, dict[str, str]]:
    """The page's table: cells by family and library."""
    lines = [
        line.strip("| \n").split(" | ")
        for line in (DOCS / "consumers.md").read_text("utf-8").splitlines()
        if "|" in line
    ]
    return {cells[0].strip("`"): dict(zip(lines[0][1:], cells[1:], strict=True)) for cells in lines[2:]}


@pytest.mark.parametrize("family", QUICK)
def test_page_says_what_happens(family: str, matrix: object) -> None:
    found = dict(matrix.cells(family, lambda name: name not in ("ONNX", "torch.export")))
    said = rows()[family]
    assert {name: said[name] for name in found} == found


@pytest.mark.slow
def test_whole_page_is_current(matrix: object) -> None:
    assert {family: dict(matrix.cells(family)) for family in matrix.FAMILIES} == rows()


def test_page_lists_every_family_and_library_and_gives_reasons(matrix: object) -> None:
    from mixspec.compiler.families import registry

    found = rows()
    assert set(found) == set(registry)
    for family, cells in found.items():
        assert list(cells) == list(matrix.consumers()), family
        for text in cells.values():
            assert text == "yes" or re.match(r"MX\d{3}: ", text), text


def test_reasons_are_lint_findings(matrix: object) -> None:
    from mixspec.compiler.lint.engine import lint

    for family, cells in rows().items():
        findings = {f"{one.code}: {one.what}" for one in lint(matrix.text(family), "<text>")}
        for text in cells.values():
            assert text == "yes" or set(text.split("; ")) <= findings, (family, text)
