"""Repairs of text that YAML cannot read, found by trying small changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from ..document import gather
from ..edits import BOM, Edit, apply, bare, line_starts, split_lines
from ..errors import Problem, Span
from ..yaml.scalars import UNWELCOME
from .finding import Fix
from .judge import judge

_INDENT = re.compile(r"[ \t]*")
_ENTRY = re.compile(r"\s*(?:- +)*([^\s:#'\"]+)(\s*)(:?)(\s*)(.*)")
_CLOSING = {"[": "]", "{": "}", "'": "'", '"': '"'}
COLON = "write ': ' behind the key"
MOST_LINES = 2_000


def line_of(text: str, line: int) -> str:
    """A line of a text, counted from 1, without its line end; empty behind the last."""
    starts = line_starts(text.removeprefix(BOM))
    clean = text.removeprefix(BOM)
    return bare(clean[starts[line - 1] : starts[line] if line < len(starts) else None]) if line <= len(starts) else ""


def entry(text: str, key: Span) -> Span | None:
    """The lines of a block mapping's entry, given its key; None where the key does not start its line."""
    lines = split_lines(text.removeprefix(BOM))
    if len(lines) > MOST_LINES or lines[key.line - 1][: key.column - 1].strip():
        return None
    end = key.line
    while end < len(lines) and (_indent(lines[end]) > key.column - 1 or _is_item(lines[end], key)):
        end += 1
    return Span(key.line, 1, end + 1, 1)


def _is_item(line: str, key: Span) -> bool:
    """Whether a line is an item of the list under a key of the same indentation."""
    return _indent(line) == key.column - 1 and line.lstrip().startswith("- ")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" ")) if line.strip() else -1


def mend(text: str, problem: Problem) -> Fix | None:
    """The change after which the text reads furthest and with the fewest complaints."""
    if problem.span is None or text.count("\n") > MOST_LINES:
        return None
    clean = UNWELCOME.sub(" ", text.removeprefix(BOM))
    rated = [
        (_rated(apply(clean, edits), problem.span), -index, what, edits)
        for index, (what, edits) in enumerate(_changes(clean, problem.span))
    ]
    good = [one for one in rated if one[0] is not None]
    if not good:
        return None
    _, _, what, edits = max(good, key=lambda one: (one[0] or (0, 0), one[1]))
    return Fix(what, edits)


def _rated(text: str, broken: Span) -> tuple[int, int] | None:
    """How far the text can be read and how little is then wrong with it; None if it breaks at the same place."""
    document, problems = gather(text, "")
    if document is None:
        last = problems[-1].span
        return (last.line - 1_000_000, 0) if last and last.line > broken.line + 1 else None
    judged = judge(document)
    return int(judged.spec is not None), -len(problems) - len(judged.problems)


def _changes(text: str, span: Span) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    """Small changes near a place, the likeliest first."""
    lines = [bare(line) for line in split_lines(text)]
    for number in (span.line, span.line - 1, span.line + 1):
        if 1 <= number <= len(lines) and lines[number - 1].strip():
            yield from _indents(lines, number)
            yield from _punctuation(lines[number - 1], number, span)


def _indents(lines: list[str], number: int) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    """The line at the indentation of its neighbours, or a step further."""
    now = _INDENT.match(lines[number - 1])
    assert now
    around = [*lines[max(0, number - 6) : number - 1][::-1], *lines[number : number + 2]]
    steps = [_indent(line) + step for line in around if line.strip() for step in (0, 2)]
    for width in dict.fromkeys([len(now[0].expandtabs(2)), *steps, 0]):
        if " " * width != now[0]:
            span = Span(number, 1, number, len(now[0]) + 1)
            yield f"indent by {width}", (Edit(span, " " * width),)


def _punctuation(line: str, number: int, span: Span) -> Iterator[tuple[str, tuple[Edit, ...]]]:
    """Colons, quotes and brackets that may be missing."""
    end = len(line.rstrip()) + 1
    at_end = Span(number, end, number, end)
    found = _ENTRY.match(line)
    if found:
        key = Span(number, found.start(1) + 1, number, found.start(5) + 1)
        if found[5] and not (found[3] and found[4]):
            yield COLON, (Edit(key, f"{found[1]}: "),)
        if found[3] and found[5]:
            value = Span(number, found.start(5) + 1, number, end)
            text = found[5].rstrip()
            yield "quote the value", (Edit(value, "'" + text.replace("'", "''") + "'"),)
            if text[0] in "'\"":
                yield "close the quote", (Edit(at_end, text[0]),)
    for opening, closing in _CLOSING.items():
        if opening in line:
            yield f"close with {closing}", (Edit(at_end, closing),)
    if number == span.line:
        yield "remove the character", (Edit(Span(number, span.column, number, span.column + 1), ""),)


def clarify(problem: Problem, fix: Fix | None) -> Problem:
    """The complaint where its likeliest repair is: at an indented line, at a key without its colon."""
    if fix is None or problem.span is None or problem.what.startswith("a tab"):
        return problem
    place = fix.edits[0].span
    if fix.what.startswith("indent by"):
        span = Span(place.line, place.end_column, place.line, place.end_column + 1)
        return replace(problem, what="this line's indentation fits none above", hint=fix.what, span=span)
    if fix.what == COLON:
        span = Span(place.line, place.column, place.line, place.column + len(fix.edits[0].text) - 2)
        return replace(problem, what="no ': ' behind this key", hint="write 'key: value'", span=span)
    return problem
