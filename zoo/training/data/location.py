"""Where a data set is, in words: ``kind/rest?option=value&option=value``, or the path of a folder or a tar."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import unquote

from ....compiler.errors import Problem, SpecError
from ....compiler.suggest import did_you_mean, nearest

NO_DATA = "MX814"

T = TypeVar("T")


@dataclass(frozen=True)
class Location:
    """What follows ``--data``: ``rest`` is what stands after the kind, ``options`` what stands after the ``?``."""

    text: str
    kind: str
    rest: str
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, kinds: tuple[str, ...], otherwise: str) -> Location:
        """``text`` taken apart. What begins with none of the kinds is all ``rest``, of the kind ``otherwise``."""
        where, _, tail = text.partition("?")
        kind, _, rest = where.partition("/")
        if kind.lower() not in kinds:
            kind, rest = otherwise, where
        return cls(text, kind.lower(), rest, dict(_option(text, word) for word in tail.split("&") if word))

    def only(self, *known: str) -> None:
        """Raise SpecError for an option that is not one of these."""
        for name in self.options:
            if name not in known:
                hint = did_you_mean(name, nearest(name, known) or list(known)) if known else "it has no options"
                raise self.wrong(f"{self.kind} has no option {name!r}", hint)

    def whole(self, name: str, default: int, least: int = 1, most: int = 2**31 - 1) -> int:
        """An option that is a whole number. Raises SpecError for anything else."""
        value = self._read(name, int, default, "a whole number")
        if not least <= value <= most:
            raise self.wrong(f"{name}={value}", f"a whole number from {least} to {most}")
        return value

    def share(self, name: str, default: float) -> float:
        """An option between 0 and 1, the ends excluded above. Raises SpecError for anything else."""
        value = self._read(name, float, default, "a number")
        if not 0 <= value < 1:
            raise self.wrong(f"{name}={value:g}", "at least 0, less than 1")
        return value

    def wrong(self, what: str, hint: str = "") -> SpecError:
        """A complaint about this data set."""
        return SpecError.of(NO_DATA, f"{self.text}: {what}", hint)

    def problem(self, found: Problem) -> Problem:
        """A complaint about an option, as one about this data set."""
        return replace(found, source=self.text)

    def _read(self, name: str, kind: Callable[[str], T], default: T, words: str) -> T:
        try:
            return kind(self.options[name]) if name in self.options else default
        except ValueError:
            raise self.wrong(f"{name}={self.options[name]}", f"{words}") from None


def _option(text: str, word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise SpecError.of(NO_DATA, f"{text}: {word!r} is no option", "name=value, joined by &")
    return name, unquote(value)
