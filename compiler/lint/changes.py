"""What a repair changes, as a unified diff."""

from __future__ import annotations

import difflib

from ..edits import BOM, split_lines


def unified(before: str, after: str, source: str) -> str:
    """The diff of two texts; empty where they are equal."""
    old, new = ([line for line in split_lines(text.removeprefix(BOM)) if line] for text in (before, after))
    if old == new:
        return ""
    rows = difflib.unified_diff(old, new, f"a/{source}", f"b/{source}")
    return "".join(row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n" for row in rows)
