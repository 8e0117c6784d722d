"""A check: a function that yields what is wrong. Its docstring says what should hold, and behind that what to do."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Subject = TypeVar("Subject")
Check = Callable[[Subject], Iterator[str]]

RAISED = (ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, RuntimeError)
RAISED_TOO = (TypeError, ValueError)
"""What code under test may raise; anything else ends the run."""


@dataclass(frozen=True)
class Result:
    """What one check found: complaints, none if all is well, and a hint for them."""

    name: str
    holds: str
    complaints: tuple[str, ...]
    hint: str

    @property
    def green(self) -> bool:
        """Whether there is nothing to complain about."""
        return not self.complaints


def run(checks: Iterable[Check[Subject]], subject: Subject) -> Iterator[Result]:
    """The result of every check, as soon as it is there. An exception of the code under test is a complaint too."""
    for check in checks:
        holds, _, hint = (inspect.getdoc(check) or "").partition("\n\n")
        yield Result(title(check), _line(holds), tuple(_complaints(check, subject)), _line(hint))


def title(check: Callable[..., object]) -> str:
    """The check's name as words."""
    return check.__name__.replace("_", " ")


def _complaints(check: Check[Subject], subject: Subject) -> Iterator[str]:
    try:
        yield from check(subject)
    except (*RAISED, *RAISED_TOO) as error:
        first = str(error).strip().split("\n")[0]
        yield f"{type(error).__name__}: {first}" if first else type(error).__name__


def _line(text: str) -> str:
    return " ".join(text.split())
