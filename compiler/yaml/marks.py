"""Where in the text a YAML event stands: the parser's marks as spans, put right where they lie elsewhere."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from yaml import Mark

from ..errors import Span
from .scalars import NEWLINE

Event: TypeAlias = Any
"""PyYAML types an event's marks and text as optional; from a parser they are always set."""

_ANCHOR = re.compile(r"&[^\s,\[\]{}]+[ \t]+(?=[^\s#])")
_TAG = re.compile(r"(?:&\S+\s+)?(!\S*)")


def span_of(event: Event) -> Span:
    """From the event's first character to its last, as the parser marks them."""
    start, end = event.start_mark, event.end_mark
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def one_character(mark: Mark) -> Span:
    """The character at a mark."""
    return Span(mark.line + 1, mark.column + 1, mark.line + 1, mark.column + 2)


def scalar_span(event: Event, text: str, last: Span) -> tuple[Span, int | None]:
    """The span of a scalar, and how far into it the value's text starts; none where that is folded or escaped.

    ``last`` is the span of the value before it.
    """
    start, end = event.start_mark, event.end_mark
    line, column, end_column = start.line + 1, start.column + 1, end.column + 1
    if event.anchor:
        column += anchor_width(event, text)
    if line != end.line + 1:
        return Span(line, column, *_multiline_end(event, text)), None
    if column == 1 and start.index >= len(text):
        # libyaml puts an empty value at the end of the stream on a line after the last.
        line, column = last.end_line, last.end_column
        return Span(line, column, line, column), 0
    quotes = end_column - column - len(event.value)
    exact = quotes == (2 if event.style else 0) and not event.tag
    return Span(line, column, line, end_column), quotes // 2 if exact else None


def _multiline_end(event: Event, text: str) -> tuple[int, int]:
    """A block scalar's mark lies on the next value, past blank lines and comments."""
    start, end = event.start_mark, event.end_mark
    if event.style not in ("|", ">"):
        return end.line + 1, end.column + 1
    return _after(start, text[start.index : end.index].rstrip())


def anchor_width(event: Event, text: str) -> int:
    """Characters of ``&name`` before the value, where both stand on one line."""
    found = _ANCHOR.match(text, event.start_mark.index) if event.anchor else None
    return found.end() - found.start() if found else 0


def tag_token(event: Event, text: str) -> tuple[str, Span]:
    """An event's tag as it is written, and its place."""
    mark = event.start_mark
    found = _TAG.match(text, mark.index)
    if not found:
        # A comment stands between anchor and tag.
        return event.tag, one_character(mark)
    line, column = _after(mark, text[mark.index : found.start(1)])
    return found[1], Span(line, column, line, column + len(found[1]))


def _after(mark: Mark, passed: str) -> tuple[int, int]:
    """Line and column where ``passed`` ends when it starts at the mark."""
    ends = [match.end() for match in NEWLINE.finditer(passed)]
    if not ends:
        return mark.line + 1, mark.column + 1 + len(passed)
    return mark.line + 1 + len(ends), len(passed) - ends[-1] + 1
