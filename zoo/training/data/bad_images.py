"""The log of images that could not be used, and its limit."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from ....compiler.errors import SpecError
from ...atomic import replacing
from .batch import Bad

TOO_MANY = "MX815"
NAME = "bad-images"
HEADS = ("index", "name", "reason")
LISTED = 3
"""Images that a complaint names."""


class BadImages:
    """Each bad image once, in a CSV file of a folder, which a continued run continues.

    Every process of a training has its own file, ``bad-images.csv``, ``bad-images.1.csv`` and so on; the limit is on
    all of them together.
    """

    def __init__(self, folder: Path | None, most: int, rank: int = 0) -> None:
        self.folder, self.most = folder, most
        self.file = folder / (f"{NAME}.{rank}.csv" if rank else f"{NAME}.csv") if folder else None
        self.own = _read(self.file) if self.file and self.file.exists() else set()

    def __len__(self) -> int:
        return len(self.all())

    def all(self) -> set[Bad]:
        """The bad images that all processes have met, up to now or as far as their files say."""
        others = self.folder.glob(f"{NAME}*.csv") if self.folder else ()
        return self.own.union(*(_read(file) for file in others if file != self.file))

    def seen(self, bad: Iterable[Bad]) -> None:
        """More of them. Raises SpecError when they are more than ``most``; the file names them by then."""
        fresh = set(bad) - self.own
        if not fresh:
            return
        self.own |= fresh
        self._write()
        if len(self) > self.most:
            some = "; ".join(f"{one.name} ({one.reason})" for one in sorted(self.own)[:LISTED])
            where = f", all in {self.file}" if self.file else ""
            images = "1 bad image" if len(self) == 1 else f"{len(self)} bad images"
            what = f"{images}, more than max_bad_images allows ({self.most}): {some}{where}"
            raise SpecError.of(TOO_MANY, what, "mend or remove them, or raise the limit")

    def _write(self) -> None:
        if self.file:
            with replacing(self.file) as temporary, temporary.open("w", newline="", errors="backslashreplace") as file:
                rows = csv.writer(file)
                rows.writerow(HEADS)
                rows.writerows(sorted(self.own))


def _read(file: Path) -> set[Bad]:
    with file.open(newline="") as rows:
        return {Bad(int(row["index"]), row["name"], row["reason"]) for row in csv.DictReader(rows)}
