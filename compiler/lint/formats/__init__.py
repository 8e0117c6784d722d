"""How findings are written; one format per file, whose name is the format's.

Each file defines ``render(report)``, which returns the whole output.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..report import Report


def names() -> list[str]:
    """The names of all formats."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem != "__init__")


def render(name: str, report: Report) -> str:
    """The report in that format."""
    return str(import_module(f"{__name__}.{name}").render(report))
