"""A picture of true classes against answers, and of confidence against accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..compiler.errors import SpecError
from .picture import save
from .training.data import UNFIT
from .training.evaluate import Evaluation
from .training.tally import BINS, MOST_CLASSES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 40
"""Classes up to which the axes carry names."""


def draw(seen: Evaluation, classes: Sequence[str], path: Path, title: str) -> None:
    """Write the picture. Raises SpecError for another kind of file or too many classes, OSError."""
    from matplotlib.figure import Figure

    if seen.confusion is None:
        raise SpecError.of(UNFIT, f"{len(classes)} classes are too many for a picture", f"at most {MOST_CLASSES}")
    side = min(max(5.0, 0.28 * len(classes)), 14.0)
    figure = Figure(figsize=(side + 5, side), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(side, 4))
    _confusion(left, seen.confusion, classes)
    _reliability(right, seen)
    figure.suptitle(f"{title}: {seen.top1:.2f} % of {seen.images:,} images right", fontsize=11)
    save(figure, path)


def _confusion(axes: Axes, counts: Sequence[Sequence[int]], classes: Sequence[str]) -> None:
    """Shares of each true class, a row; numbers of images where they are few classes."""
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.figure.colorbar(image, ax=axes, label="share of the class", shrink=0.8)
    axes.set(xlabel="answer", ylabel="class")
    if len(classes) <= NAMED:
        axes.set_xticks(range(len(classes)), classes, rotation=90)
        axes.set_yticks(range(len(classes)), classes)
    if len(classes) <= NAMED // 2:
        for down, row in enumerate(counts):
            for across, count in enumerate(row):
                if count:
                    colour = "white" if shares[down][across] > 0.5 else "black"
                    axes.text(across, down, str(count), ha="center", va="center", fontsize=7, color=colour)


def _reliability(axes: Axes, seen: Evaluation) -> None:
    """Accuracy over confidence, beside the diagonal that a calibrated network follows."""
    bins = [(place, one) for place, one in enumerate(seen.calibration.bins) if one.images]
    axes.bar(
        [(place + 0.5) / BINS for place, _ in bins], [one.accuracy for _, one in bins], 0.9 / BINS, color="#4c78a8"
    )
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share right", aspect="equal")
    axes.set_title(f"ECE {seen.calibration.ece:.4f}", fontsize=10)
