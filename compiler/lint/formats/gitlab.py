"""GitLab's code quality report: a JSON list with a fingerprint for each finding."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Any

from ..finding import Finding
from ..report import Report, plain

_LEVELS = {"error": "major", "warning": "minor", "info": "info"}


def render(report: Report) -> str:
    """The list. Fingerprints leave the line out, so that a finding that moves stays the same."""
    seen: Counter[str] = Counter()
    return json.dumps([_entry(finding, seen) for finding in report.findings], indent=2, ensure_ascii=False) + "\n"


def _entry(finding: Finding, seen: Counter[str]) -> dict[str, Any]:
    span = finding.span
    same = f"{finding.source}:{finding.code}:{finding.what}"
    seen[same] += 1
    return {
        "description": plain(finding.message),
        "check_name": finding.code,
        "fingerprint": hashlib.sha256(f"{same}:{seen[same]}".encode("utf-8", "replace")).hexdigest(),
        "severity": _LEVELS[finding.severity],
        "location": {
            "path": plain(finding.source),
            "positions": {
                "begin": {"line": span.line, "column": span.column},
                "end": {"line": span.end_line, "column": span.end_column},
            },
        },
    }
