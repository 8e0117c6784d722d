"""What a run writes down as it goes: tables, and the trackers that were asked for."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..atomic import replacing
from .engine import Engine
from .progress import Progress, Update
from .tables import Table
from .trackers import Trackers
from .watch import Epoch, Pace

LOG, UPDATES, TIMINGS = "log.csv", "updates.csv", "timings.csv"
LOGS = (LOG, UPDATES, TIMINGS, "tensorboard")


class Journal:
    """log.csv has a row for every epoch, updates.csv for every few updates: equal runs write equal ones.

    timings.csv has what the clock says. Only the first process writes.
    """

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder, self.every, self.first = folder, engine.settings.log_every, engine.first
        self.updates = Table(folder / UPDATES, ("update", "epoch", "loss", "lr", "norm", "skipped"))
        self.timings = Table(folder / TIMINGS, ("epoch", "seconds", "images_per_second", "memory_bytes"))
        self.trackers = Trackers(engine.settings.trackers if engine.first else (), folder, engine)

    def start(self, progress: Progress) -> None:
        """Begin, or go on behind what a checkpoint knows of."""
        self.updates.start(progress.updates)
        self.timings.start(progress.epoch)
        if progress.epochs:
            self._log(progress)
        self.trackers.start(progress.updates)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.trackers.finish()

    def update(self, progress: Progress, done: Update) -> None:
        """One more update, behind which ``progress`` stands."""
        if self.first and (progress.updates % self.every == 0 or done.skipped):
            row = {"loss": done.loss, "lr": done.lr, "norm": done.norm}
            self.updates.add(
                {"update": progress.updates, "epoch": progress.epoch + 1, **_rounded(row), "skipped": int(done.skipped)}
            )
            self.trackers.log({"train/loss": done.loss, "train/lr": done.lr}, progress.updates)

    def epoch(self, progress: Progress, pace: Pace) -> None:
        """One more epoch, behind which ``progress`` stands. Raises OSError."""
        row = progress.epochs[-1]
        self.timings.add({"epoch": row.epoch, **asdict(pace)})
        seen = {"epoch/loss": row.loss, "val/top1": row.val_top1, "val/top5": row.val_top5, "val/loss": row.val_loss}
        self.trackers.log({**seen, "images_per_second": pace.images_per_second}, progress.updates)
        self.flush()
        self._log(progress)

    def flush(self) -> None:
        """Everything to the disk. Raises OSError."""
        if self.first:
            self.updates.flush()
            self.timings.flush()

    def _log(self, progress: Progress) -> None:
        with replacing(self.folder / LOG) as temporary, temporary.open("w", newline="") as file:
            table = csv.DictWriter(file, [field.name for field in fields(Epoch)])
            table.writeheader()
            table.writerows(asdict(row) for row in progress.epochs)


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: "" if value is None else f"{value:.6g}" for key, value in row.items()}
