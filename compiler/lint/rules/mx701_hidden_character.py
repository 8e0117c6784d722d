"""A character that hides text.

What
    Characters that reverse the direction of text or have no width, in values, keys or comments.

Why
    What a reviewer reads is then not what is parsed ("Trojan Source", CVE-2021-42574).

Example
    Nothing to show: it is about the file, not about a line of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...edits import span_of
from ...errors import Problem
from ..file import File

repairs = True

_HIDDEN = re.compile("[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\U000e0000-\U000e007f]")
MOST = 20


def check(file: File) -> Iterator[Problem]:
    """Each of them, up to a limit."""
    if file.text.isascii():
        return
    text = file.text.removeprefix("\ufeff")
    for _, match in zip(range(MOST), _HIDDEN.finditer(text), strict=False):
        span = span_of(text, *match.span())
        yield Problem(
            "MX701", f"hidden character U+{ord(match[0]):04X}", "remove it", (), span, file.source, nearest=("",)
        )
