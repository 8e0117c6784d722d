"""Changes to a text by place, which leave the rest of it as it stands."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from .errors import Span
from .yaml.scalars import NEWLINE

BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Edit:
    """``text`` in place of what stands at ``span``."""

    span: Span
    text: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made. They must not overlap; a byte order mark is no character of the first line."""
    mark = BOM if text.startswith(BOM) else ""
    clean = text.removeprefix(BOM)
    starts = line_starts(clean)
    for edit in sorted(edits, key=lambda edit: edit.span, reverse=True):
        start, end = offsets(starts, edit.span, len(clean))
        clean = clean[:start] + edit.text + clean[end:]
    return mark + clean


def overlap(one: Edit, other: Edit) -> bool:
    """Whether two edits touch the same characters, or start at the same place."""
    (a, b), (c, d) = (one.span[:2], one.span[2:]), (other.span[:2], other.span[2:])
    return a == c or (a < d and c < b)


@lru_cache(maxsize=4)
def line_starts(text: str) -> tuple[int, ...]:
    """The offset of every line's first character."""
    return 0, *(match.end() for match in NEWLINE.finditer(text))


def offsets(starts: tuple[int, ...], span: Span, length: int) -> tuple[int, int]:
    """A span as offsets into the text."""

    def offset(line: int, column: int) -> int:
        return min(starts[line - 1] + column - 1, length) if line <= len(starts) else length

    return offset(span.line, span.column), offset(span.end_line, span.end_column)


def split_lines(text: str) -> list[str]:
    """The lines as an editor counts them, each with its line end."""
    starts = line_starts(text)
    return [text[start:end] for start, end in zip(starts, (*starts[1:], len(text)), strict=True)]


def bare(line: str) -> str:
    """A line without its line end."""
    return line.rstrip("\r\n")


def span_of(text: str, start: int, end: int) -> Span:
    """The characters ``start`` to ``end`` as lines and columns."""
    return Span(*_place(text, start), *_place(text, end))


def _place(text: str, offset: int) -> tuple[int, int]:
    starts = line_starts(text)
    line = bisect_right(starts, offset)
    return line, offset - starts[line - 1] + 1
