"""A picture of a sweep: every point's accuracies with mean and spread, one panel for each data set."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ...compiler.show import si
from ...compiler.sweep import Sweep
from ..picture import save
from .table import CERTAIN, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, SEED, MARK = "#1f2933", "#9aa5b1", "#0b69a3"


def draw(sweep: Sweep, rows: Sequence[Row], path: Path) -> None:
    """Write the picture in the format that the file's ending names. Raises SpecError for another one, OSError."""
    from matplotlib.figure import Figure

    panels = [list(group) for _, group in groupby(rows, key=lambda row: row.data)]
    height = 1.1 + 0.26 * max(len(panel) for panel in panels)
    figure = Figure(figsize=(2.6 + 3.4 * len(panels), height), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, panel in zip(axes, panels, strict=True):
        _panel(axis, panel, sweep.baseline)
        axis.label_outer()
    figure.suptitle(sweep.claim or sweep.name, fontsize=9, color=INK, x=0.01, ha="left")
    save(figure, path)


def _panel(axis: Axes, rows: Sequence[Row], baseline: str | None) -> None:
    """One line for each point, the first on top; filled where it differs significantly from the baseline."""
    for place, row in enumerate(rows):
        axis.plot(row.top1, [place] * len(row.top1), "|", color=SEED, markersize=7)
        certain = row.p is not None and row.p < CERTAIN
        axis.errorbar(
            row.mean, place, xerr=row.sd or 0, fmt="o", color=MARK, markersize=5, capsize=2, linewidth=1,
            markerfacecolor=MARK if certain or row.point == baseline else "white",
        )  # fmt: skip
        if row.point == baseline:
            axis.axvline(row.mean, color=SEED, linewidth=0.8, zorder=0)
    axis.set_yticks(range(len(rows)), [f"{row.point}  {si(row.macs)}" for row in rows], fontsize=7)
    axis.invert_yaxis()
    axis.set_title(rows[0].data, fontsize=8, loc="left")
    axis.set_xlabel("test top-1, %; one stroke per seed, bar ± 1 SD, filled: p < 0.05", fontsize=7)
    axis.tick_params(axis="x", labelsize=7)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
