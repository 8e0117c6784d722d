"""What a run found, for the formats to write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..edits import BOM, bare, split_lines
from .finding import Finding

_OBEYED = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]"
)


@dataclass(frozen=True)
class Report:
    """Findings in order, the number of files, and the text of those with findings."""

    findings: tuple[Finding, ...]
    files: int
    texts: Mapping[str, str] = field(default_factory=dict)
    colour: bool = False

    def line(self, finding: Finding) -> str:
        """The line a finding starts on, without its end."""
        lines = self._lines.get(finding.source)
        if lines is None:
            text = self.texts.get(finding.source, "").removeprefix(BOM)
            lines = self._lines[finding.source] = [bare(line) for line in split_lines(text)]
        return lines[finding.span.line - 1] if finding.span.line <= len(lines) else ""

    @property
    def _lines(self) -> dict[str, list[str]]:
        return self.__dict__.setdefault("_kept", {})


def plain(text: str) -> str:
    """Text that a terminal shows and does not obey: control, direction and zero-width characters as escapes."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def data(finding: Finding) -> dict[str, Any]:
    """A finding for other programs. Lines and columns count from 1, in characters; the end is exclusive."""
    span, fix = finding.span, finding.fix
    edits = [{**edit.span._asdict(), "text": edit.text} for edit in fix.edits] if fix else []
    return {
        "file": plain(finding.source),
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
        "path": ".".join(map(str, finding.where)),
        "code": finding.code,
        "severity": finding.severity,
        "what": plain(finding.what),
        "hint": plain(finding.hint),
        "trail": list(finding.trail),
        "fix": {"what": fix.what, "safe": fix.safe, "edits": edits} if fix else None,
    }
