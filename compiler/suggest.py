"""Did you mean: the nearest known names to an unknown one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from math import isqrt

_LARGEST = 1 << 24


def nearest(word: str, known: Iterable[str], *, most: int = 3, least: float = 0.6) -> list[str]:
    """The known names most like ``word``, best first; case does not count."""
    low = word.lower()
    least = min(least, 0.5) if len(word) <= 2 else least  # one letter of two
    rated = [(_likeness(low, name.lower()), name) for name in known]
    return [name for score, name in sorted(rated, key=lambda pair: (-pair[0], pair[1])) if score >= least][:most]


def _likeness(word: str, name: str) -> float:
    """1 for equal words; two letters exchanged are a smaller mistake than two other letters."""
    ratio = SequenceMatcher(None, word, name).ratio()
    return max(ratio, 0.95) if word != name and sorted(word) == sorted(name) else ratio


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean CADAsp?``, or the whole choice where nothing is near."""
    names = sorted(known)
    return offer(nearest(word, names), names)


def offer(near: Sequence[str], names: Iterable[str]) -> str:
    """``did you mean CADAsp?`` of the names that are near, or the whole choice where there is none."""
    if near:
        return f"did you mean {' or '.join(near)}?"
    every = ", ".join(sorted(names, key=lambda name: (int(name) if name.isdecimal() else _LARGEST, name)))
    return f"one of: {every}" if every else ""


def divisors(number: int, near: int, *, most: int = 2) -> list[int]:
    """The divisors of ``number`` next to ``near``, for hints such as ``nearest: 20, 32``."""
    every = factors(number)
    below = [d for d in every if d < near][-1:]
    above = [d for d in every if d > near][:1]
    return (below + above)[:most]


def factors(number: int) -> list[int]:
    """All divisors, smallest first; only 1 and itself for numbers that nobody means."""
    if number > _LARGEST:
        return [1, number]
    low = [d for d in range(1, isqrt(number) + 1) if number % d == 0]
    return sorted({*low, *(number // d for d in low)})
