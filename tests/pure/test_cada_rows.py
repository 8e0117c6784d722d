"""Tables 6, 7, 8 and 10 of "Studying inductive biases in image classification task" (arXiv:2210.17141) are specs, cell
by cell, and its plots have theirs.
"""

from __future__ import annotations

import re
from itertools import product

import pytest

from mixspec.compiler import catalogue
from mixspec.compiler.resolve import resolve

PAPER = "CADA, arXiv:2210.17141v1, "
NETWORKS = [resolve(catalogue.load(name)) for name in catalogue.names() if name.startswith("resnet50")]
FEW, MANY = (4, 4, 4, 4), (8, 16, 32, 64)

# one row of Table 6 for each network: heads of 8, then of 32 channels; few, then many base kernels; own, then shared
TABLE_6 = {
    "A": (78.64, 78.69, 78.99, 78.92, 78.76, 78.74, 79.04, 79.09),
    "B": (78.58, 78.54, 78.75, 79.08, 78.25, 78.24, 78.99, 78.99),
    "C": (78.76, 78.82, 78.21, 78.95, 78.62, 78.12, 78.74, 78.93),
    "D": (78.13, 78.45, 77.84, 78.18, 77.95, 77.93, 77.58, 77.32),
}
TABLE_7 = {"E": (78.24, 77.95, 78.14, 78.09), "F": (78.25, 78.00, 78.28, 78.12)}
TABLE_8 = {7: (78.55, 78.41, 78.13, 78.44, 78.24), 9: (78.32, 78.58, 78.33, 78.19, 78.31)}
# spatial filters: 7x7 depth-wise, CADAsp with 8 and with 128 base kernels
TABLE_10 = {
    "CADAsp agg=3 Ch=all": (78.84, 79.13, 78.99),
    "CADAsp agg=3": (78.81, 78.74, 79.45),
    "CADAsp b=128 agg=3 Ch=all": (78.93, 79.15, 79.57),
    "CADAsp b=128 agg=3": (79.01, 78.99, 79.04),
    "DW k=3 Ch=all": (78.49, 78.67, 79.17),
    "DW k=3": (78.49, 78.66, 79.17),
}
SPATIAL = ("DW", "CADAsp", "CADAsp b=128")


def accuracy(mixers: list[str], *tables: str, **fields: object) -> float | None:
    """What one of the tables prints for the network with these mixers, in canonical notation."""
    for network in NETWORKS:
        family = network.family
        if [plain(mixer) for mixer in family.mixers] == mixers and all(
            plain(getattr(family, name)) == value for name, value in fields.items()
        ):
            for entry in network.about.published:
                if entry.source.removeprefix(PAPER) in tables:
                    return entry.top1
    return None


def plain(value: object) -> str:
    """A mixer without what its place decides."""
    return re.sub(r" (height|width|stride)=\d+", "", str(value))


def cells(net: str, heads: tuple[int, ...]) -> list[list[str]]:
    learnt, default = net in "DEF", "D" if net in "DEF" else "A"
    named = "" if net == default else f" net={net}"
    rows = []
    for width, counts, shared in product(heads, (FEW, MANY), ("", "sp")):
        name = ("DA" if learnt else "CADA") + shared
        rows.append([normal(f"{name} b={b} Ch={width}{named}", learnt) for b in counts])
    return rows


def normal(text: str, learnt: bool) -> str:
    """Notation leaves defaults out."""
    for default in ("b=4", "Ch=8") if learnt else ("b=8", "Ch=16"):
        text = re.sub(rf" {default}(?!\d)", "", text)
    return text


@pytest.mark.parametrize("net", TABLE_6)
def test_table_6(net: str) -> None:
    tables = ("Table 4", "Table 6", "Table 7")
    assert [accuracy(mixers, *tables, pre="auto") for mixers in cells(net, (8, 32))] == list(TABLE_6[net])


@pytest.mark.parametrize("net", TABLE_7)
def test_table_7(net: str) -> None:
    assert [accuracy(mixers, "Table 7") for mixers in cells(net, (8,))] == list(TABLE_7[net])


@pytest.mark.parametrize("side", TABLE_8)
def test_table_8(side: int) -> None:
    kernel = "" if side == 7 else f" agg={side}"
    found = [accuracy([normal(f"DAsp b={b}{kernel} Ch=1", True)] * 4, "Table 8") for b in (2, 4, 8, 16, 32)]
    assert found == list(TABLE_8[side])


@pytest.mark.parametrize("low_pass", TABLE_10)
def test_table_10(low_pass: str) -> None:
    found = [accuracy([mixer] * 4, "Table 10", filter=low_pass, variant="e") for mixer in SPATIAL]
    assert found == list(TABLE_10[low_pass])


def test_every_plot_has_its_specs() -> None:
    named = [re.search(r"\(Figs?\. ([\d, ]+)\)$", network.about.description) for network in NETWORKS]
    points = [int(number) for match in named if match for number in match[1].split(", ")]
    assert {number for number in points if points.count(number) >= 3} == set(range(7, 20))


def test_no_two_specs_are_the_same_network() -> None:
    names: dict[str, list[str]] = {}
    for network in NETWORKS:
        names.setdefault(network.digest, []).append(network.name)
    assert not [same for same in names.values() if len(same) > 1]
