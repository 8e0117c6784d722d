"""From the content of a file to its findings: read, judge, check, silence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from ..complaints import MISSING_KEY, NOTATION, UNKNOWN_KEY, UNKNOWN_NAME
from ..edits import Edit, apply
from ..errors import Problem, Span
from ..suggest import did_you_mean, nearest
from .config import Config
from .file import File
from .finding import Finding, Fix
from .judge import Judged, likewise
from .kinds import judged as judged_by_kind
from .reading import read
from .rule import checks, known, rules
from .suppress import Suppression, suppressions

START = Span(1, 1, 1, 1)
SYNTAX, LOOK_ALIKE = "MX002", "MX110"
MAX_REPAIRS = 8
MOST = 100
"""Findings of one kind of reading that are reported; nobody reads the thousandth."""
UNUSED, UNKNOWN_CODE = "MX508", "MX509"


def lint(
    content: str | bytes, source: str = "<stdin>", config: Config | None = None, taken: dict[str, str] | None = None
) -> list[Finding]:
    """All findings of one file, in the order of its text. Never raises on whatever a file may hold.

    ``taken``: the files of the run so far by the names of their models; it grows.
    """
    config = (config or Config()).of(source)
    file, read = _readable(examine(content, source, config, {} if taken is None else taken))
    if taken is not None and file.about:
        taken.setdefault(file.about.name, source)
    lines = {finding.span.line for finding in read}
    problems = [*file.reading.problems[:MOST], *likewise([*_judged(file), *_checked(file)])[:MOST]]
    rest = [_finding(problem, file) for problem in problems if not (problem.span and problem.span.line in lines)]
    found = [finding for finding in (*read, *rest) if file.config.selects(finding.code, source)]
    return sorted(dict.fromkeys(_silenced(_explained(found), file)), key=lambda finding: finding.order)


def _readable(file: File) -> tuple[File, list[Finding]]:
    """The file with the likeliest repair of every place where YAML breaks, and the findings about those places.

    The repairs change single lines only, so what is found elsewhere stands where it stood.
    """
    findings: list[Finding] = []
    for _ in range(MAX_REPAIRS):
        broken = next((problem for problem in file.reading.problems if problem.code == SYNTAX), None)
        finding = _finding(broken, file) if broken else None
        if finding is None or finding.fix is None or any(one.span.line == finding.span.line for one in findings):
            break
        findings.append(finding)
        file = examine(apply(file.text, finding.fix.edits), file.source, file.config, file.taken)
    return file, findings


def problem_findings(problems: Iterable[Problem], source: str) -> list[Finding]:
    """Problems of a file that could not even be read."""
    return [
        Finding(one.code, rules()[one.code].severity, one.source or source, one.span or START, one.what, one.hint)
        for one in problems
    ]


def _explained(findings: list[Finding]) -> list[Finding]:
    """Without what is unknown or unreadable only because it is written with foreign letters."""
    foreign = {finding.span[:2] for finding in findings if finding.code == LOOK_ALIKE}
    return [
        one for one in findings if one.span[:2] not in foreign or one.code not in (UNKNOWN_KEY, UNKNOWN_NAME, NOTATION)
    ]


def examine(content: str | bytes, source: str, config: Config, taken: Mapping[str, str]) -> File:
    """A file as far as it can be understood."""
    reading = read(content, source)
    judged = judged_by_kind(reading.document, source) if reading.document else Judged(None, None, ())
    return File(reading, judged, config, taken)


def _judged(file: File) -> list[Problem]:
    """What the compiler found. A key that is missing because it is misspelt, or in a blanked part, is not missing."""
    problems = file.judged.problems
    meant = {(*problem.where[:-1], *problem.nearest[:1]) for problem in problems if problem.code == UNKNOWN_KEY}
    lost = {problem.where for problem in problems if problem.code == MISSING_KEY and problem.where in meant}
    if not file.reading.whole:
        lost |= {problem.where for problem in problems if problem.code == MISSING_KEY}
    unread = {problem.span.line for problem in file.reading.problems if problem.span}
    return [
        problem
        for problem in problems
        if not (problem.code == MISSING_KEY and problem.where in lost)
        and not (problem.span and problem.span.line in unread)
    ]


def _checked(file: File) -> Iterable[Problem]:
    selects, source = file.config.selects, file.source
    for rule in checks():
        if rule.check and selects(rule.code, source):
            yield from rule.check(file)


def _finding(problem: Problem, file: File) -> Finding:
    rule = rules()[problem.code]
    fix = rule.repair(problem, file)
    problem = rule.clarify(problem, fix)
    span = problem.span or START
    trail = tuple(filter(None, problem.trail.split("\n")))
    return Finding(
        problem.code, rule.severity, file.source, span, problem.what, problem.hint, trail, problem.where, fix
    )


def _silenced(findings: list[Finding], file: File) -> list[Finding]:
    """Without what comments silence, with what is wrong with the comments."""
    comments = suppressions(file.text, file.document)
    if not comments:
        return findings
    left = [one for one in findings if not any(comment.covers(one) for comment in comments)]
    idle = [comment for comment in comments if not any(comment.covers(one) for one in findings)]
    return [*left, *filter(None, map(partial(_comment, file=file, comments=comments), idle))]


def _comment(comment: Suppression, file: File, comments: list[Suppression]) -> Finding | None:
    right = not comment.code or known(comment.code)
    code = UNUSED if right else UNKNOWN_CODE
    if not file.config.selects(code, file.source) or (right and comment.code and not _runs(comment.code, file)):
        return None
    if right:
        what, hint = f"nothing to ignore here: {comment.code or 'no finding'}", "remove the comment"
    else:
        what, hint = f"unknown code {comment.code}", did_you_mean(comment.code, nearest(comment.code, rules()))
    alone = sum(other.comment == comment.comment for other in comments) == 1
    fix = Fix("remove the comment", (Edit(_whole(comment, file), ""),), safe=True) if alone and right else None
    return Finding(code, rules()[code].severity, file.source, comment.span, what, hint, fix=fix)


def _runs(prefix: str, file: File) -> bool:
    """Whether any rule of that code runs at all; the comment of one that does not is not idle."""
    return any(file.config.selects(code, file.source) for code in rules() if code.startswith(prefix))


def _whole(comment: Suppression, file: File) -> Span:
    """The comment with the spaces in front of it."""
    line = file.text.removeprefix("\ufeff").splitlines()[comment.comment.line - 1]
    start = len(line[: comment.comment.column - 1].rstrip())
    return comment.comment._replace(column=start + 1)
