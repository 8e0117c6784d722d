"""The tables of `study.md`, from what the shipped sweeps found.

`python docs/study.py RUNS` takes over the results under RUNS/NAME, where `mixspec sweep run NAME -o RUNS/NAME` left
them; `generate.py` puts the tables into the page.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from published import table

from mixspec.compiler import sweep
from mixspec.compiler.show import si
from mixspec.compiler.sweep import Plan
from mixspec.zoo.sweep.runs import Result, results
from mixspec.zoo.sweep.table import Row, rows

HERE = Path(__file__).resolve().parent
DATA = HERE / "study.json"
HEADS = ("variant", "params", "MACs", "top-1, %", "gain", "p", "claim")


def held() -> dict[str, list[Result]]:
    """Every result that the page rests on, by sweep."""
    found = json.loads(DATA.read_text("utf-8"))
    return {name: [Result(**one) for one in every] for name, every in found.items()}


def tables() -> str:
    """A section for each sweep that has results."""
    return "\n\n".join(section(sweep.read(name), found) for name, found in held().items())


def section(plan: Plan, found: list[Result]) -> str:
    """Claim and source, and a table for each data set."""
    about, every = plan.sweep, rows(plan, found)
    seeds = len({result.seed for result in found})
    parts = [
        f"## {about.claim}",
        f"{about.source}. Sweep `{about.name}`, {seeds} seeds, recipe `{about.recipe}`; "
        f"gains are against `{about.baseline}`.",
    ]
    for data in dict.fromkeys(row.data for row in every):
        parts += [f"On `{data}`:", table(HEADS, [cells(row) for row in every if row.data == data])]
    return "\n\n".join(parts)


def cells(row: Row) -> list[str]:
    """A row as text; accuracy is mean ± standard deviation over seeds."""
    spread = "" if row.sd is None else f" ± {row.sd:.2f}"
    gain = "" if row.gain is None else f"{row.gain:+.2f}"
    chance = "" if row.p is None else "<0.001" if row.p < 0.001 else f"{row.p:.3f}"
    return [f"`{row.point}`", si(row.params), si(row.macs), f"{row.mean:.2f}{spread}", gain, chance, row.verdict or ""]


def take(folder: Path) -> None:
    """Keep what the sweeps under ``folder`` found."""
    found = {name: results(sweep.read(name), folder / name) for name in sweep.names()}
    told = {name: [asdict(one) for one in every] for name, every in found.items() if every}
    DATA.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    take(Path(sys.argv[1]))
