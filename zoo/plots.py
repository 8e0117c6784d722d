"""Curves of trainings, from the tables that they leave: loss, accuracy, learning rate, images a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..compiler.errors import Problem, SpecError
from .picture import save
from .training.manifest import read
from .training.tables import rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

NO_RUN = "MX819"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's, which people who see colours differently can tell apart."""

Column = list[float]


@dataclass(frozen=True)
class Curves:
    """What one run's tables say; updates and epochs as fractions of epochs, so that they share an axis."""

    name: str
    epochs: dict[str, Column]
    updates: dict[str, Column]
    timings: dict[str, Column]
    length: float
    """Updates of an epoch."""

    @classmethod
    def of(cls, folder: Path) -> Curves:
        """From a run's folder. Raises SpecError where no training has finished an epoch or logged an update."""
        epochs, updates, timings = (_columns(folder / f"{name}.csv") for name in ("log", "updates", "timings"))
        if not epochs and not updates:
            what = "no epoch has been logged here"
            raise SpecError(Problem(NO_RUN, what, "a folder that `mixspec train --output` made", source=str(folder)))
        return cls(folder.resolve().name, epochs, updates, timings, read(folder).get("updates_per_epoch", 1))

    @property
    def moments(self) -> Column:
        """Where in the epochs the logged updates are."""
        return [step / self.length for step in self.updates.get("update", [])]


def _columns(path: Path) -> dict[str, Column]:
    table = rows(path)
    return {key: [float(row[key] or "nan") for row in table] for key in table[0]} if table else {}


def draw(folders: Sequence[Path], path: Path) -> int:
    """Draw the runs into one picture, one colour each; returns how many. Raises SpecError, OSError."""
    runs = [Curves.of(folder) for folder in folders]
    figure = _figure(runs)
    save(figure, path)
    return len(runs)


def _figure(runs: Sequence[Curves]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 6.2), layout="constrained")
    (loss, accuracy), (rate, speed) = figure.subplots(2, 2)
    for number, run in enumerate(runs):
        colour = COLOURS[number % len(COLOURS)]
        _loss(loss, run, colour)
        _line(accuracy, run.epochs, "val_top1", colour, run.name)
        _mark_best(accuracy, run, colour)
        rate.plot(run.moments, run.updates.get("lr", []), color=colour, linewidth=1.4)
        _line(speed, run.timings, "images_per_second", colour, run.name)
    titles = ("loss", "validation top-1, %", "learning rate", "images a second, training")
    for axes, title in zip((loss, accuracy, rate, speed), titles, strict=True):
        _frame(axes, title)
    speed.set_ylim(bottom=0)
    rate.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    figure.legend(handles=_legend(runs), fontsize=8, frameon=False, loc="outside lower center", ncols=6)
    return figure


def _loss(axes: Axes, run: Curves, colour: str) -> None:
    axes.plot(run.moments, run.updates.get("loss", []), color=colour, linewidth=0.6, alpha=0.35)
    _line(axes, run.epochs, "loss", colour, run.name)
    axes.plot(run.epochs.get("epoch", []), run.epochs.get("val_loss", []), color=colour, linewidth=1.4, linestyle="--")


def _line(axes: Axes, table: dict[str, Column], key: str, colour: str, name: str) -> None:
    axes.plot(table.get("epoch", []), table.get(key, []), color=colour, linewidth=1.6, marker=".", markersize=4)


def _mark_best(axes: Axes, run: Curves, colour: str) -> None:
    if not run.epochs:
        return
    ranked = zip(run.epochs["val_top1"], (-loss for loss in run.epochs["val_loss"]), run.epochs["epoch"], strict=True)
    top, _, epoch = max(ranked)
    axes.plot([epoch], [top], color=colour, marker="o", markersize=7, markerfacecolor="none")
    axes.annotate(
        f"{top:.1f}", (epoch, top), (0, -13), textcoords="offset points", ha="center", fontsize=8, color=colour
    )


def _frame(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("epoch", fontsize=8.5)
    axes.tick_params(labelsize=8)
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlim(left=0)


def _legend(runs: Sequence[Curves]) -> list[Line2D]:
    from matplotlib.lines import Line2D

    named = [
        Line2D([], [], color=COLOURS[number % len(COLOURS)], linewidth=2, label=run.name)
        for number, run in enumerate(runs)
    ]
    styles: list[tuple[str, Literal["-", "--"], float, float]]
    styles = [("epoch's mean", "-", 1.6, 1.0), ("validation", "--", 1.4, 1.0), ("single updates", "-", 0.6, 0.4)]
    return named + [
        Line2D([], [], color="0.3", linestyle=style, linewidth=width, alpha=alpha, label=label)
        for label, style, width, alpha in styles
    ]
