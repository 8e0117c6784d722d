"""The formats other programs read, against what they read: SARIF's schema, XML, JSON, workflow commands."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from mixspec.compiler.edits import Edit, apply
from mixspec.compiler.errors import Span
from mixspec.compiler.lint.engine import lint
from mixspec.compiler.lint.formats import names, render
from mixspec.compiler.lint.report import Report

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
TEXT = "name: x\nfamily: metaformer\nsize: s12\nmixers: attention Ch=24 # <&\"'>, %\nclases: 1,0:\n\timage: 225\n"
SOURCE = "specs/a b,c%.yaml"
REPORT = Report(tuple(lint(TEXT, SOURCE)), 1, {SOURCE: TEXT})
EMPTY = Report((), 3)


def test_there_are_seven() -> None:
    assert names() == ["concise", "full", "github", "gitlab", "json", "junit", "sarif"]
    assert len(REPORT.findings) >= 3


@pytest.mark.parametrize("report", [REPORT, EMPTY], ids=["findings", "none"])
def test_sarif_is_valid(report: Report) -> None:
    log = json.loads(render("sarif", report))
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    results = log["runs"][0]["results"]
    assert [result["ruleId"] for result in results] == [finding.code for finding in report.findings]
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in results)


def test_sarif_validation_can_fail() -> None:
    log = json.loads(render("sarif", REPORT))
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate(log)


def test_junit_is_xml() -> None:
    suites = ElementTree.fromstring(render("junit", REPORT).encode())
    assert suites.attrib["failures"] == str(len(REPORT.findings)) == str(len(list(suites.iter("failure"))))
    assert next(suites.iter("testcase")).attrib["file"] == SOURCE
    assert len(list(ElementTree.fromstring(render("junit", EMPTY).encode()).iter("testcase"))) == 1


def test_gitlab_fingerprints_differ_and_outlive_a_moved_line() -> None:
    entries = json.loads(render("gitlab", REPORT))
    assert len({entry["fingerprint"] for entry in entries}) == len(entries)
    assert all(re.fullmatch(r"[0-9a-f]{64}", entry["fingerprint"]) for entry in entries)
    moved = "# a line more\n" + TEXT
    again = json.loads(render("gitlab", Report(tuple(lint(moved, SOURCE)), 1, {SOURCE: moved})))
    assert [entry["fingerprint"] for entry in again] == [entry["fingerprint"] for entry in entries]


def test_github_commands_are_escaped() -> None:
    lines = render("github", REPORT).splitlines()
    assert len(lines) == len(REPORT.findings)
    for line in lines:
        assert re.fullmatch(r"::(error|warning|notice) file=specs/a b%2Cc%25\.yaml,line=\d+,.*title=MX\d{3}::.+", line)


def test_json_edits_make_the_repair() -> None:
    found = {entry["code"]: entry for entry in json.loads(render("json", REPORT))}
    edits = found["MX203"]["fix"]["edits"]
    spans = [
        Edit(Span(*(edit[key] for key in ("line", "column", "end_line", "end_column"))), edit["text"]) for edit in edits
    ]
    assert "attention Ch=16 #" in apply(TEXT, spans)
    assert found["MX203"]["trail"][0] == "stage 1 is 56x56x64 here"


def test_full_underlines_the_token_under_wide_text_and_obeys_no_escape() -> None:
    text = 'name: x\nfamily: metaformer\nsize: s12\nmixers: SepConv\ndescription: "微小", clases: "\x1b[31m"\n'
    shown = render("full", Report(tuple(lint(text, "x.yaml")), 1, {"x.yaml": text}))
    assert "\x1b" not in shown and "\\u001b[31m" in shown
    text = "description: {微小: 1}\n"
    [paragraph] = [
        one for one in render("full", Report(tuple(lint(text, "x")), 1, {"x": text})).split("\n\n") if "MX109" in one
    ]
    assert "1 | description: {微小: 1}\n  |              ^^^^^^^^^" in paragraph


def test_colour_only_if_asked() -> None:
    assert "\033[31m" in render("full", Report(REPORT.findings, 1, REPORT.texts, colour=True))
    assert "\033" not in render("full", REPORT)


def test_long_lines_are_cut() -> None:
    text = "name: x\nfamily: metaformer\nsize: s12\nmixers: SepConv k=(" + "3," * 5000 + "x)\n"
    shown = render("full", Report(tuple(lint(text, "x")), 1, {"x": text}))
    assert max(map(len, shown.splitlines())) < 400
