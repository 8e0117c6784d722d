"""JUnit XML: a test suite for each file, a failed case for each finding."""

from __future__ import annotations

from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from ..finding import Finding
from ..report import Report, plain


def render(report: Report) -> str:
    """All files with findings; one case that passes where there are none."""
    groups = [(source, list(group)) for source, group in groupby(report.findings, key=lambda one: one.source)]
    total = len(report.findings) or 1
    suites = "".join(_suite(source, group) for source, group in groups) or _clean(report.files)
    head = f'<testsuites name="mixspec" tests="{total}" failures="{len(report.findings)}" errors="0">'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}\n{suites}</testsuites>\n'


def _suite(source: str, group: list[Finding]) -> str:
    cases = "".join(map(_case, group))
    count = len(group)
    return (
        f'  <testsuite name={_quoted(source)} tests="{count}" failures="{count}" errors="0">\n{cases}  </testsuite>\n'
    )


def _case(finding: Finding) -> str:
    place = f"{finding.source}:{finding.span.line}:{finding.span.column}"
    detail = escape(plain("\n".join([f"{place}: {finding.message}", *finding.trail]).replace("\n", " | ")))
    failure = f'<failure type="{finding.severity}" message={_quoted(finding.message)}>{detail}</failure>'
    name, source = _quoted(f"{finding.code} at {finding.span.line}:{finding.span.column}"), _quoted(finding.source)
    return (
        f'    <testcase name={name} classname={source} file={source} line="{finding.span.line}">{failure}</testcase>\n'
    )


def _clean(files: int) -> str:
    case = f'    <testcase name="{files} files" classname="mixspec"/>\n'
    return f'  <testsuite name="mixspec" tests="1" failures="0" errors="0">\n{case}  </testsuite>\n'


def _quoted(text: str) -> str:
    return quoteattr(plain(text))
