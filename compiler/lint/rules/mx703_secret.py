"""Something that looks like a password.

What
    A token of the Hugging Face Hub, GitHub or AWS, or a private key, anywhere in the file.

Why
    Specs are published with the weights; a token in one must be revoked at once.

Example
    Nothing to show: it is about the file, not about a line of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...edits import span_of
from ...errors import Problem
from ..file import File

_SECRET = re.compile(
    r"\bhf_[A-Za-z0-9]{30,}|\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_\w{50,}|\bAKIA[0-9A-Z]{16}\b"
    r"|BEGIN [A-Z ]*PRIVATE KEY"
)
_HINTS = ("hf_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "AKIA", "PRIVATE KEY")
"""Every secret holds one of these, and hardly a spec does: they are found much faster than the pattern."""


def check(file: File) -> Iterator[Problem]:
    """Every such string; its text is not repeated."""
    if not any(hint in file.text for hint in _HINTS):
        return
    text = file.text.removeprefix("\ufeff")
    for match in _SECRET.finditer(text):
        span = span_of(text, *match.span())
        yield Problem("MX703", "this looks like a secret", "remove it, and revoke it", (), span, file.source)
