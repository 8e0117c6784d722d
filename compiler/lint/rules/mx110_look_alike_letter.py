"""A letter that only looks like another.

What
    A key or a name holds a Cyrillic, Greek or full-width letter that looks like a Latin one.

Why
    `SepСonv` with a Cyrillic С is unknown, and nobody sees why. It comes with text copied from a PDF or a chat.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepСonv

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...edits import span_of
from ...errors import Problem
from ..file import File

repairs = True

PROSE = ("description", "published")
_LIKE = dict(zip("АВЕКМНОРСТХаеорсухіјѕΑΒΕΖΗΙΚΜΝΟΡΤΥΧορν", "ABEKMHOPCTXaeopcyxijsABEZHIKMNOPTYXopv", strict=True))
_LIKE |= {chr(code + 0xFEE0): chr(code) for code in range(0x21, 0x7F)}
_WORD = re.compile(r"[^\s=,(){}\[\]:'\"#–-]+")


def check(file: File) -> Iterator[Problem]:
    """Words outside prose and comments that become ASCII when such letters are exchanged."""
    if file.text.isascii() or file.document is None:
        return
    text = file.document.text
    for match in _WORD.finditer(text):
        if not match[0].isascii() and (latin := "".join(_LIKE.get(c, c) for c in match[0])).isascii():
            span = span_of(text, *match.span())
            if _is_name(file, span.line, span.column):
                other = next(c for c in match[0] if c in _LIKE)
                what = f"{match[0]!r} is written with U+{ord(other):04X}, which only looks like {_LIKE[other]}"
                yield Problem("MX110", what, f"write {latin}", (), span, file.source, nearest=(latin,))


def _is_name(file: File, line: int, column: int) -> bool:
    """Whether that place lies in a key, or in a value that is no prose."""
    assert file.document is not None
    spans = [*file.document.keys.items(), *file.document.spans.items()]
    here = [path for path, span in spans if span[:2] <= (line, column) < span[2:]]
    return any(path and path[0] not in PROSE for path in here)
