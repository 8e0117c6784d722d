"""Interleaved comparison of two ways to the same result. See `benchmarks` for the protocol."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Literal

ENVIRONMENT = {
    # glibc gives every large tensor back to the kernel when it is freed and gets it again, page by page, at the next
    # operation. Both sides keep their memory instead.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 32),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 26),
    "COLUMNS": "120",
    "NO_COLOR": "1",
}
SHORTEST = 2e-3
"""Seconds that one round of `clock` lasts at least; faster calls are repeated."""
ROUNDS = {True: (2, 5), False: (3, 25)}
BUDGET = {True: 0.5, False: 2.5}
"""By `quick`: the least and the most rounds, and seconds after which no further round begins."""

Side = Callable[[], float]


@dataclass(frozen=True)
class Figure:
    """One comparison: ours with a named peer."""

    name: str
    ours: Side
    peer: str
    theirs: Side
    goal: float | None = None
    speed: bool = False
    unit: Literal["s", "B"] = "s"
    note: str = ""
    warm_up: bool = True


@dataclass(frozen=True)
class Result:
    """What a figure came to. `ratio` is the median over rounds, `low` and `high` the quartiles, all as in `Figure`."""

    subject: str
    name: str
    peer: str
    ratio: float
    low: float
    high: float
    ours: float
    theirs: float
    unit: str
    goal: float | None
    speed: bool
    rounds: int
    note: str

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.goal is None:
            return None
        return self.ratio >= self.goal if self.speed else self.ratio <= self.goal


def measure(subject: str, figure: Figure, quick: bool) -> Result:
    """Run both sides in turn until the rounds or the time are used up."""
    (least, most), end = ROUNDS[quick], None
    rounds: list[tuple[float, float]] = []
    if figure.warm_up:  # the first call of anything is another one
        figure.theirs(), figure.ours()
    while len(rounds) < least or (len(rounds) < most and time.perf_counter() < (end or 0)):
        end = end or time.perf_counter() + BUDGET[quick]
        rounds.append(_round(figure, ours_first=len(rounds) % 2 == 0))
    ratios = [theirs / ours if figure.speed else ours / theirs for ours, theirs in rounds]
    low, _, high = quantiles(ratios, n=4, method="inclusive")
    ours, theirs = (median(side) for side in zip(*rounds, strict=True))
    return Result(
        subject, figure.name, figure.peer, median(ratios), low, high, ours, theirs,
        figure.unit, figure.goal, figure.speed, len(rounds), figure.note,
    )  # fmt: skip


def _round(figure: Figure, ours_first: bool) -> tuple[float, float]:
    if ours_first:
        ours = figure.ours()
        return ours, figure.theirs()
    theirs = figure.theirs()
    return figure.ours(), theirs


def clock(call: Callable[[], object]) -> Side:
    """A side that times `call`, once or as often as it takes to last long enough, and returns seconds per call.

    With one thread they are seconds of the processor, which others on the machine do not stretch; with more, of the
    wall clock.
    """

    def side() -> float:
        torch = sys.modules.get("torch")
        now = time.process_time if torch is None or torch.get_num_threads() == 1 else time.perf_counter
        calls, batch, start = 0, 1, now()
        while True:
            for _ in range(batch):
                call()
            calls += batch
            seconds = now() - start
            if seconds >= SHORTEST:
                return seconds / calls
            batch = calls  # twice as many in all: the clock is read a few times, whatever a call takes

    return side


def process(*command: str | Path, cwd: Path | None = None, ends: Sequence[int] = (0,)) -> Side:
    """A side that runs a command and returns its wall time in seconds. Any exit status but `ends` is an error."""

    def side() -> float:
        start = time.perf_counter()
        done = subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if done.returncode not in ends:
            raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr[-2000:]}")
        return seconds

    return side


def peak(call: Callable[..., Callable[[], object]], *arguments: Any) -> Side:
    """A side that returns the bytes by which a call outgrows its inputs, in a fresh process of one thread.

    `call(*arguments)`, a function at the top of a module, makes the inputs and returns the function to measure, which
    is called once: a small call before, in `call`, should load what every call keeps. Measured once, since it hardly
    varies.
    """
    return cache(partial(_in_fresh_process, call, *arguments))


def _in_fresh_process(call: Callable[..., Callable[[], object]], *arguments: Any) -> float:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_growth, (call, *arguments))


def _growth(call: Callable[..., Callable[[], object]], *arguments: Any) -> float:
    import torch

    torch.set_num_threads(1)
    run = call(*arguments)
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak starts again from here
    before = _memory("VmRSS")
    run()
    return max(_memory("VmHWM") - before, 1)


def _memory(key: str) -> float:
    """A line of /proc/self/status, bytes."""
    line = next(line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith(key))
    return float(line.split()[1]) * 1024


def agree(ours: Any, theirs: Any, tolerance: float = 1e-4) -> None:
    """Raise ValueError unless two tensors differ by less than `tolerance` of the largest value."""
    error = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    if not error <= tolerance:
        raise ValueError(f"the two sides compute different things: relative error {error:.1e}")


def environment() -> dict[str, str]:
    """Of every process that measures. All Python is compiled once, as installers do with what they install."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **ENVIRONMENT}
