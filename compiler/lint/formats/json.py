"""A JSON list of all findings, with places, trails and the edits of the repairs."""

from __future__ import annotations

import json

from ..report import Report, data


def render(report: Report) -> str:
    """The list."""
    return json.dumps([data(finding) for finding in report.findings], indent=2, ensure_ascii=False) + "\n"
