"""Whether a tar archive is whole."""

from __future__ import annotations

import os
from pathlib import Path

BLOCK = 512
"""Bytes of an archive's smallest part. The last two are zero in every archive that was written to its end."""


def ended(path: Path) -> bool:
    """Whether the archive ends as it should. What was cut off between two members reads as a shorter one otherwise."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) < 2 * BLOCK:
            return False
        file.seek(-2 * BLOCK, os.SEEK_END)
        return not any(file.read())
