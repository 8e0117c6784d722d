"""For people: the line in question with the place underlined, the shapes inferred, and the repair on offer."""

from __future__ import annotations

import unicodedata

from ..finding import Finding
from ..report import Report, plain
from .concise import head

WIDTH = 140
"""Columns of a source line to show; of a longer one, those around the place."""

_COLOURS = {"error": "31", "warning": "33", "info": "36", "code": "1", "edge": "34"}


def render(report: Report) -> str:
    """A paragraph for each finding."""
    return "\n".join(_paragraph(finding, report) for finding in report.findings)


def _paragraph(finding: Finding, report: Report) -> str:
    number = str(finding.span.line)
    edge = " " * len(number)
    rows = [_head(finding, report)]
    line = report.line(finding)
    if line:
        shown, before, marked = _excerpt(line, finding)
        bar = _paint("|", "edge", report)
        rows += [f"{edge} {bar}", f"{_paint(number, 'edge', report)} {bar} {shown}".rstrip()]
        rows.append(f"{edge} {bar} {before}{_paint('^' * marked, finding.severity, report)}")
    rows += [f"{edge} = {plain(note)}" for note in (*finding.trail, *_offer(finding))]
    return "\n".join(rows) + "\n"


def _head(finding: Finding, report: Report) -> str:
    text = head(finding)
    return text.replace(finding.code, _paint(finding.code, finding.severity, report), 1) if report.colour else text


def _offer(finding: Finding) -> list[str]:
    if finding.fix is None:
        return []
    return [f"{'--fix' if finding.fix.safe else '--unsafe-fixes'}: {finding.fix.what}"]


def _excerpt(line: str, finding: Finding) -> tuple[str, str, int]:
    """The part of a line to show, the space in front of the marks, and how many marks there are."""
    span = finding.span
    start = span.column - 1
    end = span.end_column - 1 if span.line == span.end_line else len(line)
    left = max(0, start - WIDTH // 2) if len(line) > WIDTH else 0
    part, dots = line[left : left + WIDTH], "..." if left else ""
    before, marked = line[left:start], line[start : min(end, left + WIDTH)]
    return dots + _visible(part), " " * _width(dots + _visible(before)), max(1, _width(_visible(marked)))


def _visible(text: str) -> str:
    return plain(text).replace("\t", "  ")


def _width(text: str) -> int:
    """Columns a terminal needs."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _paint(text: str, kind: str, report: Report) -> str:
    return f"\033[{_COLOURS[kind]}m{text}\033[0m" if report.colour else text
