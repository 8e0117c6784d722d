"""Every published row is a spec that counts to the last parameter and multiply-add."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mixspec.compiler import catalogue
from mixspec.compiler.cost import count
from mixspec.compiler.counters import counted
from mixspec.compiler.lint.figures import printed
from mixspec.compiler.resolve import Network, resolve
from mixspec.compiler.spec import Published

CLAIMS = yaml.safe_load((Path(__file__).parents[1] / "data" / "claims.yaml").read_text("utf-8"))["rows"]


def network(row: dict[str, Any]) -> Network:
    return resolve(catalogue.load(row["id"]))


def published(row: dict[str, Any]) -> Published:
    """The spec's entry for the paper of the row."""
    paper = row["paper"].split(" (")[0]
    return next(entry for entry in network(row).about.published if entry.source.startswith(paper))


def figures(row: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Printed figures of the row, with the exact number each should round from."""
    found = {}
    if "printed_params" in row:
        found["params"] = (row["printed_params"], count(network(row), row["image"]).params)
    if "printed_flops" in row:
        found["flops"] = (row["printed_flops"], counted(network(row), row["counter"], row["image"]))
    return found


def agrees(text: str, exact: int) -> bool:
    figure = printed(text)
    assert figure is not None, f"{text} is no figure"
    return figure.agrees(exact)


@pytest.mark.parametrize("row", CLAIMS, ids=lambda row: row["id"])
def test_row_is_exact(row: dict[str, Any]) -> None:
    assert network(row).name == row["id"]
    cost = count(network(row), row["image"])
    assert cost.params == row["params"]
    if "macs" in row:
        assert cost.macs == row["macs"]
        assert counted(network(row), row["counter"], row["image"]) == row["counted"]


@pytest.mark.parametrize("row", CLAIMS, ids=lambda row: row["id"])
def test_spec_carries_what_is_printed(row: dict[str, Any]) -> None:
    entry = published(row)
    if "printed_params" in row:
        assert entry.params == row["printed_params"]
    if "printed_flops" in row:
        assert (entry.flops, entry.counter) == (row["printed_flops"], row["counter"])
    assert bool(entry.disputed) == (row["status"] == "disputed")
    if not entry.disputed:
        wrong = {name: pair for name, pair in figures(row).items() if not agrees(*pair)}
        assert not wrong, "a printed figure neither fits nor is disputed"


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    exact = sum(count(network(row), row["image"]).params == row["params"] for row in CLAIMS)
    reproduced = sum(agrees(*pair) for row in CLAIMS for pair in figures(row).values())
    disputed = sum(row["status"] == "disputed" for row in CLAIMS)
    with capsys.disabled():
        print(f"\n{len(CLAIMS)} rows: {exact} exact, {reproduced} printed figures reproduced, {disputed} disputed")
    assert (len(CLAIMS), exact, disputed) == (83, 83, 9)
    assert reproduced == 110
