"""Tables and plot of `speed.md`, from what `python -m benchmarks --docs` kept in `speed.json`: `python docs/speed.py`.

The tables are put into the page by `generate.py`; run by itself, this file draws `speed.svg`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from published import table

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks._measure import Result  # noqa: E402
from benchmarks._report import amount, ratio  # noqa: E402

DATA, PLOT = HERE / "speed.json", HERE / "speed.svg"
HEAD = ("figure", "peer", "ratio", "quartiles", "goal", "ours", "peer's", "")
COLOURS = {True: "#1a7f5a", False: "#c4442f", None: "#5b6673"}
"""Of a figure that meets its goal, misses it, has none."""


def subjects() -> dict[str, Any]:
    """What is held, by subject."""
    held: dict[str, Any] = json.loads(DATA.read_text("utf-8"))
    return held


def tables() -> str:
    """A section for each subject."""
    return "\n\n".join(section(name, held) for name, held in subjects().items())


def section(name: str, held: dict[str, Any]) -> str:
    """Heading, what it is about, table, notes, machine."""
    results = [Result(**figure) for figure in held["figures"]]
    notes = list(dict.fromkeys(result.note for result in results if result.note))
    rows = [row(result, notes) for result in results]
    remarks = "".join(f"\n{number}. {note}" for number, note in enumerate(notes, 1))
    parts = [f"## {name}", held["about"], table(HEAD, rows), remarks.strip(), described(held["machine"], held["quick"])]
    return "\n\n".join(part for part in parts if part)


def row(result: Result, notes: list[str]) -> tuple[str, ...]:
    """One figure; the last cell says whether the goal is met and which note belongs to it."""
    said = {True: "yes", False: "**no**", None: ""}[result.met]
    note = f"({notes.index(result.note) + 1})" if result.note else ""
    sign = "≥" if result.speed else "≤"
    return (
        result.name, result.peer, ratio(result.ratio), f"{ratio(result.low)} – {ratio(result.high)}",
        "" if result.goal is None else f"{sign} {ratio(result.goal)}",
        amount(result.ours, result.unit), amount(result.theirs, result.unit), f"{said} {note}".strip(),
    )  # fmt: skip


def described(machine: dict[str, Any], quick: bool) -> str:
    """The machine, the versions and the day, in one line."""
    facts = {key: value for key, value in machine.items() if key not in ("processor", "cores", "date")}
    versions = ", ".join(f"{name} {number}" for name, number in facts.items())
    day = f"{machine['date']}, few rounds" if quick else machine["date"]
    return f"*{machine['processor']}, {machine['cores']} cores; {versions}; {day}.*"


def plot() -> None:
    """Every ratio as time or bytes relative to the peer's, which is the line at 1, beside its goal."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    lines = list(_lines())
    plt.rcParams.update({"svg.hashsalt": "speed", "font.size": 8})
    figure, axes = plt.subplots(figsize=(9, 0.9 + 0.17 * len(lines)), layout="constrained")
    for place, (_, held) in enumerate(lines):
        if held:
            _draw(axes, place, held)
    axes.axvline(1, color="#222222", linewidth=1)
    axes.set(xscale="log", ylim=(len(lines), -1), xlabel="ours / peer, lower is better; the tick is the goal")
    axes.set_yticks(range(len(lines)), [text for text, _ in lines])
    for label, (_, held) in zip(axes.get_yticklabels(), lines, strict=True):
        label.set_fontweight("normal" if held else "bold")
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(PLOT, metadata={"Date": None})


def _lines() -> Iterator[tuple[str, Result | None]]:
    """A line of the plot for each subject and each of its figures."""
    for name, held in subjects().items():
        yield name, None
        for result in (Result(**figure) for figure in held["figures"]):
            yield f"{result.name} / {result.peer}", result


def _draw(axes: Any, place: int, result: Result) -> None:
    values = (result.low, result.ratio, result.high)
    low, middle, high = sorted(1 / value for value in values) if result.speed else values
    colour = COLOURS[result.met]
    axes.plot([low, high], [place, place], color=colour, linewidth=2, alpha=0.5, solid_capstyle="butt")
    axes.plot([middle], [place], "o", color=colour, markersize=4)
    if result.goal is not None:
        goal = 1 / result.goal if result.speed else result.goal
        axes.plot([goal], [place], "|", color="#222222", markersize=7)


if __name__ == "__main__":
    plot()
