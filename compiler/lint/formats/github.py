"""Annotations of GitHub Actions: workflow commands that mark lines in a pull request."""

from __future__ import annotations

from ..finding import Finding
from ..report import Report, plain

_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def render(report: Report) -> str:
    """One workflow command for each finding."""
    return "".join(f"{_command(finding)}\n" for finding in report.findings)


def _command(finding: Finding) -> str:
    span = finding.span
    place: dict[str, object] = {
        "file": plain(finding.source),
        "line": span.line,
        "col": span.column,
        "endLine": span.end_line,
    }
    if span.end_line == span.line:
        place["endColumn"] = max(span.end_column - 1, span.column)
    fields = ",".join(f"{key}={_property(str(value))}" for key, value in place.items())
    text = "\n".join([plain(finding.message), *finding.trail])
    return f"::{_LEVELS[finding.severity]} {fields},title={finding.code}::{_escape(text)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")
