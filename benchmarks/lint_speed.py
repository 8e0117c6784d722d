"""How fast specs are linted: 100 in a fresh process beside `import torch`, and 1,000 in a warm one.

    python benchmarks/lint_speed.py

The specs are the shipped ones and copies of them with other class counts, so that every network is a new one. Each
is read, checked, resolved, its shapes verified, its cost counted and compared with what its paper prints. Blocks that
stand in several networks are judged and counted once, and so are stages that differ only in what stands behind them:
this makes the warm process fast. A network whose blocks were never seen costs two to three times as much, nearly all
of it for the shapes and costs of its layers. Of the rest, YAML takes a quarter (libyaml's events become Python
objects one by one), validation by pydantic a tenth, and rules about the text the remainder. All on one core, in
seconds of its time, so that other processes do not count.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

from mixspec.compiler import counters, family, fmt, layer, verify
from mixspec.compiler.cost import cost
from mixspec.compiler.lint import strides
from mixspec.compiler.lint.config import Config
from mixspec.compiler.lint.engine import lint
from mixspec.compiler.notation import grammar

SPECS = Path(__file__).parents[1] / "specs"
LIMITS = Config(budget={"max_params": 10**12, "max_macs": 10**15})
"""With a budget, so that the cost of every network is counted."""


def texts(count: int) -> dict[str, str]:
    """So many specs by file name, each another network."""
    files = [file for file in sorted(SPECS.rglob("*.yaml")) if file.parent.name not in ("recipes", "sweeps", "timm")]
    found = {}
    for index, file in enumerate(islice(cycle(files), count)):
        lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("classes:")]
        name = f"{file.stem}_{index}"
        lines = [f"name: {name}" if line.startswith("name:") else line for line in lines]
        found[f"{name}.yaml"] = "\n".join([*lines, f"classes: {index + 2}", ""])
    return found


def seconds(*command: str, cwd: Path | None = None) -> float:
    """Wall time of a process."""
    start = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=False, capture_output=True)
    return time.perf_counter() - start


def cold(rounds: int = 5) -> tuple[float, float]:
    """Median seconds of linting 100 files in a fresh process, and of importing torch; rounds in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in texts(100).items():
            (folder / file).write_text(text, encoding="utf-8")
        limits = '[tool.mixspec]\nmax-params = "1T"\nmax-macs = "999T"\n'
        (folder / "pyproject.toml").write_text(limits, encoding="utf-8")
        ours = (sys.executable, "-c", "from mixspec.cli import main; main()", "lint", ".")
        pairs = [(seconds(*ours, cwd=folder), seconds(sys.executable, "-c", "import torch")) for _ in range(rounds)]
    return median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)


def warm(count: int = 1000) -> float:
    """Specs a second in one process that has linted others like them before."""
    specs = texts(count + 400)
    for name, text in islice(specs.items(), 400):
        lint(text, name, LIMITS)
    cost.cache_clear()
    start = time.process_time()
    for name, text in islice(specs.items(), 400, None):
        lint(text, name, LIMITS)
    return count / (time.process_time() - start)


def anew(count: int = 300) -> float:
    """Specs a second in a process that has linted others, when none of their networks was seen before."""
    specs = texts(count)
    for name, text in specs.items():
        lint(text, name, LIMITS)
    for memory in memories():
        memory.cache_clear()
    start = time.process_time()
    for name, text in specs.items():
        lint(text, name, LIMITS)
    return count / (time.process_time() - start)


def memories() -> Iterator[Any]:
    """What the compiler remembers of layers and networks."""
    yield cost
    for module in (counters, family, fmt, grammar, layer, strides, verify):
        yield from (value for value in vars(module).values() if hasattr(value, "cache_clear"))


if __name__ == "__main__":
    ours, torch = cold()
    print(f"100 specs, fresh process: {ours:.2f} s; import torch: {torch:.2f} s; {torch / ours:.1f} times less")
    print(f"1,000 specs, warm process, one core: {warm():,.0f} a second; never seen before: {anew():,.0f} a second")
