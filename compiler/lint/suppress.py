"""Comments that silence a finding: ``# mixspec: ignore[MX203]``.

At the end of a line it holds for that line; on a line of its own for the next one that says something.
``ignore-file`` holds for the whole file. Without codes it silences everything there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..document import Document
from ..edits import split_lines
from ..errors import Span
from .finding import Finding

_COMMENT = re.compile(
    r"(?:^|(?<=\s))#\s*mixspec:\s*ignore(?P<file>-file)?"
    r"(?:\s*\[(?P<codes>[^\]]*)\]|[\s:=]+(?P<bare>MX\w+(?:[\s,]+MX\w+)*))?"
)
_WORD = re.compile(r"[^\s,]+")
MOST = 100


@dataclass(frozen=True, slots=True)
class Suppression:
    """One code of one comment; ``code`` is empty where the comment silences all. ``line`` 0 is the whole file."""

    line: int
    code: str
    span: Span
    comment: Span

    def covers(self, finding: Finding) -> bool:
        return self.line in (0, finding.span.line) and finding.code.startswith(self.code)


def suppressions(text: str, document: Document | None) -> list[Suppression]:
    """What the comments of a text silence."""
    if "mixspec:" not in text:
        return []
    lines = split_lines(text.removeprefix("\ufeff"))
    found: list[Suppression] = []
    for number, line in enumerate(lines, 1):
        match = _COMMENT.search(line)
        if match and not _in_value(document, number, match.start() + 1):
            found += _of(match, number, 0 if match["file"] else _target(lines, number, match.start()))
        if len(found) > MOST:
            break
    return found[:MOST]


def _of(match: re.Match[str], number: int, target: int) -> list[Suppression]:
    comment = Span(number, match.start() + 1, number, match.end() + 1)
    said = "bare" if match["codes"] is None else "codes"
    if match[said] is None:
        return [Suppression(target, "", comment, comment)]
    start = match.start(said) + 1
    words = [
        (word[0], Span(number, start + word.start(), number, start + word.end()))
        for word in _WORD.finditer(match[said])
    ]
    return [Suppression(target, word, span, comment) for word, span in words]


def _target(lines: list[str], number: int, column: int) -> int:
    """The line a comment is about: its own, or the next one that is no comment."""
    if lines[number - 1][:column].strip():
        return number
    below = (
        index
        for index in range(number, len(lines))
        if lines[index].strip() and not lines[index].lstrip().startswith("#")
    )
    return next(below, number - 1) + 1


def _in_value(document: Document | None, line: int, column: int) -> bool:
    """Whether that place lies inside a text value."""
    if document is None:
        return False
    values = ((span, path) for path, span in document.spans.items() if (span.line, span.column) <= (line, column))
    inside = [path for span, path in values if (line, column) < (span.end_line, span.end_column)]
    return bool(inside) and isinstance(_at(document, max(inside, key=len)), str)


def _at(document: Document, path: tuple[str | int, ...]) -> object:
    value: object = document.data
    for step in path:
        value = value[step]  # type: ignore[index]
    return value
