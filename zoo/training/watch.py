"""What a training tells while it runs, and the live bar that shows it."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images. ``loss`` is the mean over it; accuracies are of the validation images."""

    epoch: int
    loss: float
    lr: float
    val_top1: float
    val_top5: float
    val_loss: float


@dataclass(frozen=True)
class Pace:
    """What the clock says of an epoch's training, and the most memory held so far. No two runs agree on it."""

    seconds: float
    images_per_second: float
    memory_bytes: int

    @classmethod
    def of(cls, seconds: float, images: int, memory: int) -> Self:
        return cls(round(seconds, 3), round(images / seconds, 1), memory)


class Watch:
    """Hears of every update and every epoch. This one says nothing."""

    def starts(self, epochs: int, images: int, done: int = 0) -> None:
        """So many epochs of so many images begin, of which ``done`` images are behind already."""

    def says(self, line: str) -> None:
        """Something out of the ordinary, in one line."""

    def update(self, epoch: int, images: int, loss: float, lr: float) -> None:
        """One more update, on so many images."""

    def ends(self, epoch: Epoch, best: bool, pace: Pace) -> None:
        """An epoch is over and its weights are written; ``best`` so far or not."""


class Bar(Watch):
    """A live bar on standard error where that is a terminal, and one line for every epoch anywhere."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(12),
            TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=len("0:00:00"))),
            TextColumn("{task.fields[now]}"),
        )
        self.progress = Progress(*columns, console=self.console, transient=True)
        self.task = self.progress.add_task("training", total=None, visible=False, now="")
        self.epochs, self.accuracy = 0, ""

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.console.is_terminal:  # elsewhere stopping would print an empty line
            self.progress.stop()
        if kind is KeyboardInterrupt:
            self.console.print("stopped; last.safetensors holds the last whole epoch, if there was one")

    def starts(self, epochs: int, images: int, done: int = 0) -> None:
        self.epochs = epochs
        self.progress.update(self.task, total=epochs * images, completed=done, visible=True)

    def says(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, markup=False)

    def update(self, epoch: int, images: int, loss: float, lr: float) -> None:
        now = f"loss {loss:.3f} lr {lr:.1e} {self.progress.tasks[0].speed or 0:.0f} images/s{self.accuracy}"
        self.progress.update(self.task, description=f"epoch {epoch}/{self.epochs}", advance=images, now=now)

    def ends(self, epoch: Epoch, best: bool, pace: Pace) -> None:
        width = len(str(self.epochs))
        self.accuracy = f" val {epoch.val_top1:.1f} % {pace.memory_bytes / 2**20:.0f} MiB"
        self.console.print(
            f"epoch {epoch.epoch:{width}d}/{self.epochs}  loss {epoch.loss:.3f}  lr {epoch.lr:.1e}  "
            f"{pace.images_per_second:5.0f} images/s  val top-1 {epoch.val_top1:5.1f} %{'  best' if best else ''}",
            soft_wrap=True,
        )
