"""Figures as papers and people write them: ``28M``, ``4.6G``, ``512MiB``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

_UNITS = {"": 0, "k": 3, "m": 6, "b": 9, "g": 9, "t": 12}
_PRINTED = re.compile(r"\s*(\d{1,15}(?:,\d{3})*(?:\.\d{1,9})?)\s*([kKmMbBgGtT]?)\s*", re.ASCII)
_BINARY = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT])iB\s*", re.ASCII)
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4}


@dataclass(frozen=True, slots=True)
class Printed:
    """A rounded figure: its value, and what one step of its last digit is worth."""

    value: Decimal
    step: Decimal

    def agrees(self, exact: int) -> bool:
        """Whether ``exact`` rounds to this figure."""
        return abs(Decimal(exact) - self.value) * 2 <= self.step

    def show(self, exact: int) -> str:
        """``exact`` with one digit more than the figure has, in the figure's unit."""
        return scaled(exact, self.step / 10)


@lru_cache(maxsize=1024)
def printed(text: str) -> Printed | None:
    """The figure a paper prints, None where it is none."""
    match = _PRINTED.fullmatch(text)
    if not match:
        return None
    number, unit = Decimal(match[1].replace(",", "")), Decimal(10) ** _UNITS[match[2].lower()]
    digits = -int(number.as_tuple().exponent)
    return Printed(number * unit, unit / Decimal(10) ** digits)


def amount(value: int | str) -> int | None:
    """A number of parameters, MACs or bytes: ``30M``, ``5e9`` is none; ``512MiB`` counts in 1024."""
    if isinstance(value, int):
        return value
    binary = _BINARY.fullmatch(value)
    if binary:
        return int(Decimal(binary[1]) * 1024 ** _POWERS[binary[2]])
    figure = printed(value.removesuffix("B") if value[-2:-1] in ("M", "G", "K", "T") else value)
    return int(figure.value) if figure else None


def scaled(exact: int, step: Decimal) -> str:
    """``4.536G``: a number in the unit that suits it, rounded to ``step``."""
    unit, power = next((pair for pair in (("T", 12), ("G", 9), ("M", 6), ("k", 3)) if exact >= 10 ** pair[1]), ("", 0))
    digits = max(0, min(6, power - step.adjusted()))
    return f"{Decimal(exact) / 10**power:.{digits}f}{unit}"


def short(exact: int) -> str:
    """A number with about four digits: ``26.34M``."""
    return scaled(exact, Decimal(10) ** (len(str(exact)) - 4))
