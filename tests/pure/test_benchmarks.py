"""How two sides are compared: in turn, round by round, by the median of the ratios."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import SimpleNamespace

import pytest

from mixspec.benchmarks import _measure
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


class Clocks:
    """Two clocks that go on only while a call runs, the wall's four times as fast as the processor's."""

    def __init__(self, work: float) -> None:
        self.work, self.calls = work, 0

    def call(self) -> None:
        self.calls += 1

    def process_time(self) -> float:
        return self.calls * self.work

    def perf_counter(self) -> float:
        return 4 * self.process_time()


@pytest.mark.parametrize("work, calls", [(2.0**-20, 4096), (2.0**-8, 1)], ids=["short", "long"])
@pytest.mark.parametrize("threads", [None, 1, 2], ids="{} threads".format)
def test_a_call_is_repeated_until_it_can_be_timed(
    work: float, calls: int, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the processor's clock, by the wall's where several threads of torch work."""
    clocks = Clocks(work)
    monkeypatch.setattr(_measure, "time", clocks)
    torch = threads and SimpleNamespace(get_num_threads=lambda: threads)
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert clock(clocks.call)() == (4 if threads == 2 else 1) * work
    assert clocks.calls == (max(calls // 4, 1) if threads == 2 else calls)


def test_the_clock_goes() -> None:
    assert clock(lambda: None)() > 0


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
