"""Kill a training at random moments, resume it, and compare what it leaves with an uninterrupted run, byte by byte.

``python tests/killing.py --points 30`` prints a table; ``--write docs/training.md`` also puts it there. One warmed-up
process forks all trainings, so that a point costs a second and not the imports of torch.

Half of the points are moments of the clock, the others places in the writing of a file: half of a file's bytes are
there, or all of them but not on the disk, or a folder still has its temporary name.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forked import ended, forked, together
from small import few_digits, network

LINES = "dims: [8, 8]", "mixers: DW k=3 in stage 1, attention Ch=8 in stage 2"
RECIPE = {
    "name": "all",
    "epochs": 3,
    "batch_size": 16,
    "grad_accum_steps": 2,
    "lr": 5e-3,
    "warmup_epochs": 1,
    "clip_grad": 1.0,
    "smoothing": 0.1,
    "mixup": 0.5,
    "cutmix": 1.0,
    "drop_path": 0.2,
    "drop": 0.1,
    "degrees": 10.0,
    "model_ema": True,
    "model_ema_decay": 0.9,
}
COMPARED = ("best.safetensors", "last.safetensors", "log.csv", "updates.csv", "checkpoints")
MARKS = "<!-- killing -->", "<!-- /killing -->"


@dataclass(frozen=True)
class Kill:
    """After so many seconds, or at the so-manieth call of a function that writes."""

    seconds: float | None = None
    place: str = ""
    call: int = 0

    def __str__(self) -> str:
        return f"after {self.seconds:.2f} s" if self.seconds is not None else f"{self.place}, call {self.call}"


@dataclass(frozen=True)
class Outcome:
    """One point: whether the kill hit, what the resumed run said, and which files differ from the reference."""

    processes: int
    kill: Kill
    hit: bool
    said: str
    differing: tuple[str, ...]


def prepared() -> Callable[[Path, int], None]:
    """A training of a second as a function of its folder and the number of processes; what it imports is imported."""
    from mixspec.compiler.recipe import Recipe
    from mixspec.zoo.training.loop import train
    from mixspec.zoo.training.settings import Settings
    from mixspec.zoo.training.watch import Bar

    net, data, recipe = network(*LINES), few_digits(64, 64, 64), Recipe.model_validate(RECIPE)
    settings = Settings(seed=1, resume="auto", every_updates=3, log_every=1, cpu=True)

    def work(folder: Path, processes: int) -> None:
        with Bar() as bar:
            train(net, recipe, data, folder, settings=settings, watch=bar)

    return work


def fatal(call: int, function: Callable[..., Any], last: Callable[..., object] | None = None) -> Callable[..., Any]:
    """``function``, whose so-manieth call is this process's end, after ``last``."""
    calls = itertools.count(1)

    def called(*given: Any) -> Any:
        if next(calls) == call:
            if last:
                last(*given)
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given)

    return called


def half(path: Path, blob: bytes) -> None:
    path.write_bytes(blob[: len(blob) // 2])


def armed(kill: Kill) -> None:
    """Make this process end itself at the kill's place."""
    from mixspec.zoo.training import checkpoint

    match kill.place:
        case "half of a file":
            checkpoint._put = fatal(kill.call, checkpoint._put, half)
        case "before fsync":
            os.fsync = fatal(kill.call, os.fsync)
        case "before a rename":
            Path.rename = fatal(kill.call, Path.rename)  # type: ignore[method-assign]


PLACES = {"half of a file": 30, "before fsync": 60, "before a rename": 6}
"""Where files are written, and about how often one run gets there."""


def attempt(work: Callable[[Path, int], None], folder: Path, processes: int, kill: Kill | None = None) -> bool:
    """Run in forked processes. True where they came to their end, False where they were killed."""

    def process(rank: int) -> None:
        if kill and kill.place and rank == kill.call % processes:
            armed(kill)
        work(folder, processes)

    said = Path(f"{folder}.txt")
    if kill is None:
        together(process, processes, said)
        return True
    children = forked(process, processes, said)
    if kill.seconds is not None:
        time.sleep(kill.seconds)
        os.kill(random.choice(children), signal.SIGKILL)
    return not any(ended(children))


def files(folder: Path) -> dict[str, bytes]:
    """What is compared, by path."""
    found = (path for name in COMPARED for path in (folder / name, *(folder / name).rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def tried(work: Callable[[Path, int], None], at: Path, processes: int, kill: Kill, wanted: dict[str, bytes]) -> Outcome:
    """Kill, resume to the end, compare."""
    folder = at / f"run-{processes}-{str(kill).replace(' ', '-')}"
    hit = not attempt(work, folder, processes, kill)
    attempt(work, folder, processes)
    found = files(folder)
    differing = tuple(name for name in {**wanted, **found} if wanted.get(name) != found.get(name))
    said = Path(f"{folder}.txt").read_text()
    resumed = re.findall(r"resumed from \S*/0*(\d+):|(nothing) is left", said)
    told = "".join(resumed[-1]) if resumed else "start"
    shutil.rmtree(folder, ignore_errors=True)
    return Outcome(processes, kill, hit, told, differing)


def kills(points: int, seconds: float, chance: random.Random) -> list[Kill]:
    """Half by the clock, half in the middle of writing."""
    clock = [Kill(chance.uniform(0.02, seconds)) for _ in range(points // 2)]
    places = [chance.choice(list(PLACES)) for _ in range(points - len(clock))]
    return clock + [Kill(place=place, call=chance.randint(1, PLACES[place])) for place in places]


def campaign(points: int, processes: list[int], seed: int) -> list[Outcome]:
    """All points for each number of processes."""
    work, chance, outcomes = prepared(), random.Random(seed), []
    with tempfile.TemporaryDirectory() as name:
        at = Path(name)
        for count in processes:
            begun = time.perf_counter()
            attempt(work, at / f"whole-{count}", count)
            seconds = time.perf_counter() - begun
            wanted = files(at / f"whole-{count}")
            for kill in kills(points, seconds, chance):
                outcome = tried(work, at, count, kill, wanted)
                while not outcome.hit:  # the run was over before
                    (kill,) = kills(1, seconds, chance) if kill.place else kills(2, 0.8 * seconds, chance)[:1]
                    outcome = tried(work, at, count, kill, wanted)
                outcomes.append(outcome)
                print(outcome, file=sys.stderr, flush=True)
    return outcomes


def table(outcomes: list[Outcome]) -> str:
    """Counts by number of processes and kind of kill."""
    lines = [
        "| processes | killed | points | went on from a checkpoint | began anew | runs lost | files differing |",
        "|---|---|---|---|---|---|---|",
    ]
    kinds = {(one.processes, one.kill.place or "by the clock") for one in outcomes}
    for processes, kind in sorted(kinds):
        some = [one for one in outcomes if (one.processes, one.kill.place or "by the clock") == (processes, kind)]
        anew = sum(one.said == "start" for one in some)
        lost = sum("best.safetensors" in one.differing for one in some)
        differing = sum(len(one.differing) for one in some)
        lines.append(f"| {processes} | {kind} | {len(some)} | {len(some) - anew} | {anew} | {lost} | {differing} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--points", type=int, default=30, help="for each number of processes")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path, help="a page with the marks of the table")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    outcomes = campaign(given.points, given.processes, given.seed)
    if given.json:
        print(json.dumps([{**vars(one), "kill": str(one.kill)} for one in outcomes]))
    else:
        print(table(outcomes))
    if given.write:
        before, _, rest = given.write.read_text().partition(MARKS[0])
        after = rest.partition(MARKS[1])[2]
        given.write.write_text(f"{before}{MARKS[0]}\n{table(outcomes)}\n{MARKS[1]}{after}")
    sys.exit(any(one.differing for one in outcomes))


if __name__ == "__main__":
    main()
