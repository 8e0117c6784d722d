"""One line for each finding: ``file:line:column: CODE what (hint)``."""

from __future__ import annotations

from ..finding import Finding
from ..report import Report, plain


def render(report: Report) -> str:
    """The lines, and how many there are."""
    return "".join(f"{head(finding)}\n" for finding in report.findings)


def head(finding: Finding) -> str:
    """The first line about a finding."""
    span, word = finding.span, "" if finding.severity == "error" else f"{finding.severity}: "
    return f"{plain(finding.source)}:{span.line}:{span.column}: {finding.code} {word}{plain(finding.message)}"
