"""SARIF 2.1.0, the exchange format of static analysis (OASIS standard), for code scanning."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from ...errors import Span
from ..finding import Finding, Fix
from ..report import Report, plain
from ..rule import Rule, rules

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def render(report: Report) -> str:
    """One run with the rules that found something."""
    codes = sorted({finding.code for finding in report.findings})
    driver = {"name": "mixspec", "rules": [_rule(rules()[code]) for code in codes]}
    results = [_result(finding, codes.index(finding.code)) for finding in report.findings]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": " ".join(rule.sections.get("What", rule.title).split())},
        "help": {"text": rule.doc},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"family": rule.family},
    }


def _result(finding: Finding, index: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": "\n".join([plain(finding.message), *finding.trail])},
        "locations": [{"physicalLocation": {**_file(finding), "region": _region(finding.span)}}],
    }
    return result | ({"fixes": [_fix(finding, finding.fix)]} if finding.fix else {})


def _file(finding: Finding) -> dict[str, Any]:
    return {"artifactLocation": {"uri": quote(finding.source.replace("\\", "/"), errors="surrogateescape")}}


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }


def _fix(finding: Finding, fix: Fix) -> dict[str, Any]:
    edits = [{"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}} for edit in fix.edits]
    return {"description": {"text": fix.what}, "artifactChanges": [{**_file(finding), "replacements": edits}]}
