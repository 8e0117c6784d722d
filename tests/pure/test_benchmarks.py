"""How two sides are compared: in turn, round by round, by the median of the ratios."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from mixspec.benchmarks.__main__ import SUBJECTS
from mixspec.benchmarks._measure import Figure, Result, clock, measure
from mixspec.benchmarks._report import about, amount, ratio

ASKED = {"startup", "lint", "count", "build", "aggregate", "global_conv", "models", "train", "memory"}


def side(values: Iterable[float]) -> Callable[[], float]:
    """A side that answers with these, one round after another."""
    left = iter(values)
    return lambda: next(left)


def measured(**settings: bool) -> Result:
    ours, theirs = side([1, 3, 100, 2, 4]), side([10, 10, 10, 10, 10])
    return measure("subject", Figure("it", ours, "peer", theirs, goal=0.35, warm_up=False, **settings), quick=True)


def test_a_slow_round_moves_no_median() -> None:
    result = measured()
    assert (result.rounds, result.ratio, result.ours, result.theirs) == (5, 0.3, 3, 10)
    assert (result.low, result.high) == (0.2, 0.4)
    assert result.met


def test_speed_is_the_peers_time_over_ours() -> None:
    result = measured(speed=True)
    assert result.ratio == pytest.approx(10 / 3)
    assert result.met, "and more of it is better"


def test_a_short_call_is_repeated_until_it_can_be_timed() -> None:
    calls: list[int] = []
    side = clock(lambda: calls.append(len(calls)))
    seconds = sorted(side() for _ in range(5))[2]
    assert len(calls) > 500
    assert 0 < seconds < 1e-3, "a pause of the machine is in few rounds, and the median is of the others"


def test_every_subject_says_what_it_is_about() -> None:
    assert set(SUBJECTS) >= ASKED
    assert all(about(subject).endswith(".") for subject in SUBJECTS)


@pytest.mark.parametrize(("value", "text"), [(0.0005, "1/2,000"), (0.0671, "0.067"), (0.671, "0.67"), (1.5, "1.50")])
def test_ratios_are_short(value: float, text: str) -> None:
    assert ratio(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.0123, "s", "12.3 ms"), (2.5e-6, "s", "2.5 µs"), (3 * 2**20, "B", "3 MiB"), (1, "B", "0.000977 KiB")],
)
def test_amounts_have_the_unit_that_suits_them(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text
