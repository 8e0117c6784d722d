"""A picture of what CADA and CADAsp have learnt: base kernels and position kernels, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ..compiler.backbone import Backbone
from ..compiler.bound import Bound
from .picture import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec

NOTE = (
    "One head of every layer, the one with the largest base kernels. At each position it applies the position kernel "
    "plus a sum of base kernels,\nweighted by coefficients that are read from what lies around that position. "
    "Red is positive, blue negative, white zero; one scale per row."
)
COLUMNS = 8
"""Base kernels drawn of a layer, at most."""


@dataclass(frozen=True)
class Bank:
    """The kernels of one head: ``base`` (b, G, G), those with the largest magnitudes first, and ``position`` (G, G)."""

    path: str
    what: str
    head: int
    base: Tensor
    position: Tensor | None


def banks(model: Backbone) -> Iterator[Bank]:
    """Of every layer with a bank of kernels the head whose base kernels are largest."""
    for path, module in model.named_modules():
        if isinstance(module, Bound) and isinstance(getattr(module, "bank", None), nn.Conv2d):
            yield _largest_head(path, module)


def _largest_head(path: str, module: Bound) -> Bank:
    bank: nn.Conv2d = module.bank
    side: int = module.layer.kernel  # type: ignore[attr-defined]
    kernels = bank.weight.detach().cpu().view(-1, side, side, bank.weight.shape[1]).movedim(3, 1)
    sizes = kernels.abs().sum((2, 3))
    head = int(sizes.sum(1).argmax())
    base = kernels[head, sizes[head].argsort(descending=True)]
    position = None if bank.bias is None else bank.bias.detach().cpu().view(-1, side, side)[head]
    return Bank(path, str(module.layer), head, base, position)


def draw(model: Backbone, path: Path, title: str) -> int:
    """Write the picture; returns how many layers it shows, and writes nothing for none."""
    rows = list(banks(model))
    if not rows:
        return 0
    figure = _figure(rows, title)
    save(figure, path)
    return len(rows)


def _figure(rows: list[Bank], title: str) -> Figure:
    from matplotlib.figure import Figure

    shown = max(min(len(bank.base), COLUMNS) for bank in rows)
    figure = Figure(figsize=(1.6 + 1.02 * (shown + 2), 1.25 + 1.16 * len(rows)), layout="constrained")
    figure.suptitle(title, fontsize=12, fontweight="bold", x=0.01, ha="left")
    figure.supxlabel(NOTE, fontsize=8.5, x=0.01, ha="left")
    grid = figure.add_gridspec(len(rows), shown + 3, width_ratios=[1.1, 1, *[1] * shown, 0.1])
    for row, bank in enumerate(rows):
        _draw_row(figure, grid, row, bank, shown)
    return figure


def _draw_row(figure: Figure, grid: GridSpec, row: int, bank: Bank, shown: int) -> None:
    kernels = [bank.position, *bank.base[:shown]]
    limit = max(float(kernel.abs().max()) for kernel in kernels if kernel is not None) or 1.0
    label = figure.add_subplot(grid[row, 0])
    label.axis("off")
    label.text(0, 0.5, _label(bank), va="center", fontsize=8.5, transform=label.transAxes, linespacing=1.35)
    image = None
    for column, kernel in enumerate(kernels, 1):
        axes = figure.add_subplot(grid[row, column])
        if kernel is None:
            axes.axis("off")
            continue
        image = axes.imshow(kernel.numpy(), cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        _frame(axes, column)
        if row == 0:
            axes.set_title("position" if column == 1 else f"base {column - 1}", fontsize=8.5)
    assert image is not None, "a bank has at least one base kernel"
    bar = figure.colorbar(image, cax=figure.add_subplot(grid[row, shown + 2]), ticks=[-limit, 0, limit])
    bar.ax.set_yticklabels([f"{-limit:.2g}", "0", f"{limit:.2g}"], fontsize=7)
    bar.outline.set_linewidth(0.4)


def _frame(axes: Axes, column: int) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_linewidth(1.4 if column == 1 else 0.5)


def _label(bank: Bank) -> str:
    words = bank.path.split(".")
    place = (
        f"stage {int(words[1]) + 1}, block {int(words[3]) + 1}"
        if words[0] == "stages" and len(words) > 3
        else bank.path
    )
    side = bank.base.shape[-1]
    return f"{place}\n{side} x {side}, head {bank.head + 1}"
