"""What a rule finds, and how to repair it, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..edits import Edit
from ..errors import Path, Span

Severity: TypeAlias = Literal["error", "warning", "info"]
"""An error keeps the spec from being built; a warning is a likely mistake; an info never fails a run."""


@dataclass(frozen=True, slots=True)
class Fix:
    """Edits that belong together. A safe fix keeps the meaning; an unsafe one guesses what was meant."""

    what: str
    edits: tuple[Edit, ...]
    safe: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One complaint about one place of one file."""

    code: str
    severity: Severity
    source: str
    span: Span
    what: str
    hint: str = ""
    trail: tuple[str, ...] = ()
    where: Path = ()
    fix: Fix | None = None

    @property
    def message(self) -> str:
        """What is wrong and what would be right, in one line."""
        return f"{self.what} ({self.hint})" if self.hint else self.what

    @property
    def fails(self) -> bool:
        """Whether a run with this finding ends with exit code 1."""
        return self.severity != "info"

    @property
    def order(self) -> tuple[str, Span, str]:
        return self.source, self.span, self.code
