"""What a plain YAML scalar means (YAML 1.2 core schema) and which characters a file may hold. No YAML library."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..errors import Span

MAX_DIGITS = 19
"""Longest integer literal: enough for 64 bits, short enough to parse at once."""

NEWLINE = re.compile(r"\r\n|\r|\n")
"""Line ends as an editor counts them. NEL, LS and PS, which YAML 1.1 counts too, are refused in the text."""

UNWELCOME = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
"""Characters a file may not hold as they are."""

UNSAFE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
"""Characters a value may not hold even when written as an escape: a terminal would obey them."""

_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
}
_FIRST = frozenset("0123456789+-.")
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NAMES = {
    "\x00": "NUL",
    "\ufeff": "byte order mark",
    "\x85": "NEL",
    "\u2028": "line separator",
    "\u2029": "paragraph separator",
}


class NumberTooLarge(ValueError):
    """An integer of too many digits, or a float beyond the largest."""


def resolve(text: str) -> object:
    """The value of a plain scalar: ``5e-4`` is a number, ``on`` and ``1:30`` are strings."""
    if len(text) <= MAX_DIGITS and text.isdecimal() and text.isascii():
        return int(text)
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _FIRST:
        return text
    if _INT.fullmatch(text):
        return int(_bounded(text))
    if _BASED.fullmatch(text):
        return int(_bounded(text), 0)
    return _float(text) if _FLOAT.fullmatch(text) else text


def _bounded(text: str) -> str:
    digits = len(text.lstrip("+-"))
    if digits > MAX_DIGITS:
        raise NumberTooLarge(f"an integer of {digits} digits, the most is {MAX_DIGITS}")
    return text


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise NumberTooLarge("a number beyond the largest float, about 1.8e308")
    return value


def describe(character: str) -> str:
    """``control character U+0007``, for a character that is not welcome."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"byte 0x{code - 0xDC00:02X}, which is not UTF-8"
    if character in _NAMES:
        return f"{_NAMES[character]} U+{code:04X}"
    kind = "lone surrogate" if 0xD800 <= code <= 0xDFFF else "noncharacter" if code > 0xFF else "control character"
    return f"{kind} U+{code:04X}"


def remedy(character: str) -> str:
    """What to do about a character that is not welcome."""
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return "save the file as UTF-8"
    if character == "\x00":
        return "save the file as UTF-8 text; UTF-16 and binary files hold such characters"
    return "remove it, or break the line with an ordinary newline" if character in "\x85\u2028\u2029" else "remove it"


def unwelcome(text: str) -> Iterator[tuple[str, Span]]:
    """Every character that is not welcome, and where it stands."""
    start = 0
    for line, end in enumerate([*(match.end() for match in NEWLINE.finditer(text)), len(text)], 1):
        for match in UNWELCOME.finditer(text, start, end):
            column = match.start() - start + 1
            yield match[0], Span(line, column, line, column + 1)
        start = end
