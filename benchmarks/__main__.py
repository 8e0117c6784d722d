"""`python -m benchmarks`: every figure beside its peer's. What a subject is: see the package."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from ._measure import Result, environment
from ._report import ROOT, machine, save, show

SUBJECTS = sorted(
    file.stem
    for file in Path(__file__).parent.glob("*.py")
    if not file.stem.startswith("_") and "\ndef figures(" in file.read_text("utf-8")
)


def main() -> None:
    """Measure and report. Ends with 1 if a subject could not be measured."""
    options = argparse.ArgumentParser(prog="python -m benchmarks", description="mixspec beside its peers.")
    options.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"one or more of {', '.join(SUBJECTS)}")
    options.add_argument("--quick", action="store_true", help="few figures and rounds: does it run, roughly")
    options.add_argument("--json", action="store_true", help="print JSON")
    options.add_argument("--docs", action="store_true", help="write docs/speed.* as well")
    chosen = options.parse_args()
    if unknown := [name for name in chosen.subjects if name not in SUBJECTS]:
        options.error(f"no subject {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    results: list[Result] = []
    failed = [name for name in chosen.subjects or SUBJECTS if not run(name, chosen.quick, results)]
    if chosen.json:
        print(json.dumps({"machine": machine(), "figures": [_data(result) for result in results]}, indent=1))
    else:
        show(results)
    if chosen.docs:
        save((result for result in results if result.subject not in failed), chosen.quick)
    sys.exit(f"not measured: {', '.join(failed)}" if failed else 0)


def run(name: str, quick: bool, results: list[Result]) -> bool:
    """Measure a subject in a process of its own and collect its figures; False if it ended with an error."""
    command = [sys.executable, "-W", "ignore", "-m", f"{__package__}._worker", name, *["--quick"] * quick]
    console = Console(stderr=True)
    with (
        subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True) as worker,
        console.status(name) as status,
    ):
        for result in _lines(worker.stdout or ()):
            results.append(result)
            status.update(f"{name}: {result.name} {result.ratio:.3g}")
    return worker.returncode == 0


def _lines(output: Iterator[str] | tuple[()]) -> Iterator[Result]:
    for line in output:
        if line.startswith("{"):  # a peer may print, too
            yield Result(**json.loads(line))


def _data(result: Result) -> dict[str, object]:
    return {**asdict(result), "met": result.met}


if __name__ == "__main__":
    main()
