"""The tables a run leaves: CSV files that go on where they were when a checkpoint was written."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..atomic import naming, replacing


class Table:
    """A CSV file whose first column rises. Rows wait in memory until they are flushed."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self.columns = path, list(columns)
        self.rows: list[Mapping[str, Any]] = []

    def start(self, last: float) -> None:
        """Keep the rows up to ``last``, whatever a killed run has added; an empty table where there was none."""
        with replacing(self.path) as temporary:
            kept = [row for row in rows(self.path) if self._sound(row) and float(row[self.columns[0]]) <= last]
            temporary.write_text(self._text([dict(zip(self.columns, self.columns, strict=True)), *kept]))

    def _sound(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is whole; a write that was cut off leaves one that is not."""
        return list(row) == self.columns and None not in row.values()

    def add(self, row: Mapping[str, Any]) -> None:
        self.rows.append(row)

    def flush(self) -> None:
        """Write what waits, to the disk. Raises OSError; then it goes on waiting."""
        if not self.rows:
            return
        with naming(self.path), self.path.open("a", newline="") as file:
            end = file.tell()
            try:
                file.write(self._text(self.rows))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
        self.rows = []

    def _text(self, rows: Sequence[Mapping[str, Any]]) -> str:
        text = io.StringIO()
        csv.DictWriter(text, self.columns, lineterminator="\n").writerows(rows)
        return text.getvalue()


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table, in words; none where there is no such file."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
