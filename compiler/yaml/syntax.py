"""YAML syntax errors, said again in the words of a spec's author, where they help."""

from __future__ import annotations

import re

import yaml

from ..errors import Span
from .marks import one_character
from .scalars import NEWLINE

START = Span(1, 1, 1, 1)

_TAB = re.compile(r" *\t")

# The parser's messages, by a part common to libyaml's and PyYAML's, said again in the words of a spec's author.
_SYNTAX = (
    ("mapping values", "':' is not allowed here", "quote text that holds ': ', indent the keys of one mapping alike"),
    ("sequence entries", "a list item '- ' is not allowed here", "start the list on a line of its own"),
    ("mapping keys", "a key is not allowed here", "start the mapping on a line of its own"),
    ("expected ':'", "no ':' after this key", "write 'key: value', or indent the line under the one above"),
    ("unexpected end of stream", "a quote that is never closed", "close it with the quote character that opens it"),
    ("unexpected document", "a quote that is never closed", "close it with the quote character that opens it"),
    ("',' or ']'", "expected ',' or ']'", "quote text that holds commas or brackets"),
    ("',' or '}'", "expected ',' or '}'", "quote text that holds commas or braces"),
    ("escape", "unknown escape in a double-quoted text", "write \\\\ for a backslash, or use single quotes"),
    ("alphabetic or numeric", "expected a name after & or *", "quote text that starts with & or *"),
    ("cannot start any token", "a value cannot start with this character", "put the text in quotes"),
    ("document start", "expected the end of the file", "a file holds one document, and options (%) stand above '---'"),
    ("node content", "expected a value here", "write the value, or null"),
    ("directive", "a line that starts with % and is no option", "remove the line"),
    ("incompatible", "another version of YAML", "remove the %YAML line"),
    ("line break", "text after | or > must start on a line of its own", "or put the text in quotes"),
    ("indentation indicator", "expected a line end after | or >", "start the text on a line of its own"),
    ("'-' indicator", "expected another '- item' here", "indent the items of one list alike"),
    ("expected key", "expected another 'key: value' here", "indent keys of one mapping alike, quote text as a whole"),
    ("block end", "this line does not fit those above", "indent the lines of one mapping or list alike"),
    ("tag", "a YAML tag", "remove it; text that starts with ! needs quotes"),
)
_AT_OPENING = frozenset({"expected ':'", "unexpected end of stream", "unexpected document", "alphabetic or numeric"})


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str, str, Span]:
    """Code, what, hint and place of a syntax error."""
    said = error.problem or error.context or "this cannot be read as YAML"
    tab = _tab_at(error.problem_mark, text)
    if tab and "end of stream" not in said:
        return "MX002", "a tab in the indentation", "indent with spaces", tab
    found = next((row for row in _SYNTAX if row[0] in f"{said} {error.context or ''}"), (said, said, ""))
    needle, what, hint = found
    span = _error_span(error, needle in _AT_OPENING, text)
    opening = error.context_mark
    if needle.startswith("',' or") and opening:
        mark = error.problem_mark
        if mark and (mark.line != opening.line or mark.index >= len(text)):
            return "MX002", "a bracket that is never closed", f"close it with {needle[-2]}", one_character(opening)
        what += f" to close the bracket of {opening.line + 1}:{opening.column + 1}"
    return "MX004" if needle == "tag" else "MX002", what, hint, span


def _tab_at(mark: yaml.Mark | None, text: str) -> Span | None:
    if mark is None:
        return None
    found = _TAB.match(text, _line_start(mark, text))
    if not found:
        return None
    column = found.end() - found.start()
    return Span(mark.line + 1, column, mark.line + 1, column + 1)


def _line_start(mark: yaml.Mark, text: str) -> int:
    return max(text.rfind("\n", 0, mark.index), text.rfind("\r", 0, mark.index)) + 1


def _error_span(error: yaml.MarkedYAMLError, at_opening: bool, text: str) -> Span:
    mark = error.context_mark if at_opening and error.context_mark else error.problem_mark or error.context_mark
    if mark is None:
        return START
    if mark.index < len(text):
        return one_character(mark)
    # libyaml puts the end of the stream on a line after the last, even when no line end follows.
    lines = NEWLINE.split(text)
    return Span(len(lines), len(lines[-1]) + 1, len(lines), len(lines[-1]) + 1)
