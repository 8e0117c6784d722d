"""What was measured, where and with what: as a table for people, as data for programs and the docs."""

from __future__ import annotations

import ast
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ._measure import Result

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "docs" / "speed.json"
HEADS = ("subject", "figure", "peer", "ratio", "quartiles", "goal", "", "ours", "peer's", "rounds")
WIDEST = 160
"""Columns of a table that is not cut off, on terminals and in pipes however narrow."""
PACKAGES = ("torch", "timm", "fvcore", "yamllint", "check-jsonschema", "typer")


def machine() -> dict[str, Any]:
    """The processor, what runs on it, and the day."""
    found = {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "date": date.today().isoformat(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
    return found


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    best = next((name for name in ("amx_tile", "avx512f", "avx2") if name in flags), "")
    return f"{names[0] if names else platform.machine()}{f', {best}' if best else ''}"


def show(results: Iterable[Result]) -> None:
    """A table on standard output, growing figure by figure."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in HEADS:
        table.add_column(head, justify="left" if head in ("subject", "figure", "peer", "") else "right", no_wrap=True)
    last = ""
    for result in results:
        if last not in ("", result.subject):
            table.add_section()
        last = result.subject
        table.add_row(*cells(result))
    Console(width=max(Console().width, WIDEST)).print(table)


def cells(result: Result) -> tuple[str, ...]:
    """One row: names, ratio with quartiles beside its goal, and both sides as they are."""
    sign = "≥" if result.speed else "≤"
    mark = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[result.met]
    return (
        result.subject, result.name, result.peer, ratio(result.ratio), f"{ratio(result.low)}–{ratio(result.high)}",
        f"{sign} {ratio(result.goal)}" if result.goal is not None else "", mark,
        amount(result.ours, result.unit), amount(result.theirs, result.unit), str(result.rounds),
    )  # fmt: skip


def ratio(value: float) -> str:
    """Three figures, and small ones as 1/n."""
    return f"1/{1 / value:,.0f}" if value < 0.0095 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def amount(value: float, unit: str) -> str:
    """Seconds or bytes in the unit that suits them."""
    steps = {"s": ((1, "s"), (1e-3, "ms"), (1e-6, "µs")), "B": ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))}[unit]
    size, name = next((step for step in steps if value >= step[0]), steps[-1])
    return f"{value / size:.3g} {name}"


def save(results: Iterable[Result], quick: bool) -> None:
    """Put what was measured in place of what the docs held of the same subjects, and write the page and the plot."""
    held = json.loads(DATA.read_text("utf-8")) if DATA.exists() else {}
    by_subject: dict[str, list[dict[str, Any]]] = {}
    for result in results:
        by_subject.setdefault(result.subject, []).append(asdict(result))
    for subject, rows in by_subject.items():
        held[subject] = {"about": about(subject), "quick": quick, "machine": machine(), "figures": rows}
    DATA.write_text(json.dumps(dict(sorted(held.items())), indent=1, ensure_ascii=False) + "\n", "utf-8")
    subprocess.run([sys.executable, ROOT / "docs" / "generate.py", ROOT / "docs" / "speed.md"], check=True)
    subprocess.run([sys.executable, ROOT / "docs" / "speed.py"], check=True)


def about(subject: str) -> str:
    """What the docstring of its `figures` says, in one line."""
    tree = ast.parse((Path(__file__).parent / f"{subject}.py").read_text("utf-8"))
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "figures")
    return " ".join((ast.get_docstring(function) or "").split())
