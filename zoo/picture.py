"""Figures as files: whole or not there, and equal where what they show is equal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..compiler.errors import SpecError
from .atomic import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNFIT = "MX812"
FORMATS = (".png", ".pdf", ".svg")
_UNDATED = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def save(figure: Figure, path: Path) -> None:
    """Write the figure in the format that the file's ending names. Raises SpecError for another one, OSError."""
    from matplotlib import rc_context

    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise SpecError.of(UNFIT, f"{path} is no picture", f"one of {', '.join(FORMATS)}")
    with replacing(path) as temporary, rc_context({"svg.hashsalt": "mixspec"}):
        figure.savefig(temporary, format=kind[1:], dpi=150, metadata=_UNDATED.get(kind))
