"""A text with mistakes in it, read as far as it makes sense.

Where YAML itself breaks, the top-level entry with the mistake is blanked and the rest is read again, so that one bad
line does not hide what is wrong elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile

from ..document import Document, bad_characters, decode, gather
from ..edits import BOM, split_lines
from ..errors import Problem, SpecError
from ..yaml.scalars import NEWLINE, UNWELCOME

MAX_BLANKED = 8
SECOND, TOO_LARGE = "MX008", "MX005"
MOST = 100
"""Problems of one reading to report, beside the one that ends it."""
UNKEYED = frozenset({"MX007", "MX009", "MX010"})
"""With these, a key that is missing may be one that could not be read."""
_ENTRY = re.compile(r"[^\s#]")


@dataclass(frozen=True, slots=True)
class Reading:
    """A file's text as it stands, the document in it, and what is wrong with it as a text.

    ``whole``: nothing had to be left out, so that what is missing is missing.
    """

    source: str
    text: str
    document: Document | None
    problems: tuple[Problem, ...]
    whole: bool


def read(content: str | bytes, source: str) -> Reading:
    """The content of a file. Never raises."""
    try:
        text = decode(content, source)
    except SpecError as error:
        return Reading(source, "", None, error.problems, whole=False)
    clean = text.removeprefix(BOM)
    problems = bad_characters(clean, source)
    if "\0" in clean:
        return Reading(source, text, None, tuple(problems), whole=False)
    document, more, whole = _read(UNWELCOME.sub(" ", clean) if problems else clean, source)
    whole = whole and not {problem.code for problem in more} & UNKEYED
    return Reading(source, text, document, (*problems, *more), whole)


def _read(text: str, source: str) -> tuple[Document | None, list[Problem], bool]:
    problems: list[Problem] = []
    for blanked in range(MAX_BLANKED + 1):
        document, found = gather(text, source)
        problems += [problem for problem in (*found[:MOST], *found[MOST:][-1:]) if problem not in problems]
        if document is not None:
            return document, problems, blanked == 0
        if found[-1].code == TOO_LARGE:
            break
        span = found[-1].span
        without = _blank(text, span.line - 1, whole=found[-1].code == SECOND) if span else text
        if without == text or not without.strip():
            break
        text = without
    return None, problems, False


def _blank(text: str, line: int, *, whole: bool) -> str:
    """The text without the top-level entry that line lies in, or all from there on; line ends stay, so places do."""
    lines = split_lines(text)
    if whole:
        return "".join(lines[:line])
    line = min(line, len(lines) - 1)
    above = [index for index in range(line + 1) if _ENTRY.match(lines[index])]
    start = above[-1] if above else line
    below = sum(1 for _ in takewhile(lambda row: not _ENTRY.match(row), lines[start + 1 :]))
    end = max(start + 1 + below, line + 1)
    kept = ["".join(NEWLINE.findall(row)) if start <= index < end else row for index, row in enumerate(lines)]
    return "".join(kept)
