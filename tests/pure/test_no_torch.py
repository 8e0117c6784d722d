"""What is written in data is read without torch, and therefore fast."""

import json
import re
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "timm", "numpy", "accelerate", "safetensors.torch", "matplotlib", "huggingface_hub")
"""Not to be loaded by reading, checking, counting and showing specs."""

RUFF = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]
WITH_TORCH = {
    name.rstrip("*")
    for pattern, codes in RUFF["lint"]["per-file-ignores"].items()
    if pattern.startswith("compiler/") and "TID253" in codes
    for name in re.findall(r"\w+\*?", pattern.removeprefix("compiler/").removesuffix(".py"))
}
"""Modules of the compiler that may import torch at their top; the style checker knows them."""

REPORT = f"import json, sys; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def loaded_by(modules: list[str]) -> list[str]:
    done = run(f"import importlib\nfor name in {modules}: importlib.import_module(name)\n{REPORT}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def modules_in(folder: str) -> list[str]:
    """Every module of a folder of the package, those that are torch left out."""
    files = sorted((ROOT / folder).rglob("*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return [f"mixspec.{name}" for name in names if not WITH_TORCH & set(name.split("."))]


def test_torch_begins_at_the_lowering() -> None:
    assert {"lower", "ops", "modules", "bound", "backbone"} <= WITH_TORCH
    assert not {"mixers", "families", "lint", "parse", "resolve", "cost", "parts"} & WITH_TORCH


def test_compiler_above_the_lowering_loads_no_torch() -> None:
    modules = modules_in("compiler")
    assert "mixspec.compiler.mixers.sepconv" in modules and "mixspec.compiler.families.metaformer" in modules
    assert loaded_by(modules) == []


def test_every_command_is_imported_without_torch() -> None:
    modules = modules_in("cli")
    assert "mixspec.cli.count" in modules
    assert loaded_by(modules) == []


COMMANDS = [
    ["count", "caformer_s18", "--json"],
    ["count", "caformer_s18", "--image", "384", "--by", "layer"],
    ["lint", str(ROOT / "specs" / "metaformer")],
    ["lint", "nosuchmodel"],
    ["show", "caformer_s18"],
    ["show", "caformer_s18", "--tree"],
    ["schema"],
    ["lint", "--fix", "--diff", "--output-format", "sarif", str(ROOT / "specs" / "resnet")],
    ["fmt", "--check", str(ROOT / "specs" / "metaformer")],
    ["diff", "convformer_s18", "caformer_s18"],
    ["explain", "MX203"],
    ["explain", "CADAsp"],
    ["traits", "caformer_s18"],
    ["traits", "--all"],
    ["--help"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_command_leaves_no_torch_behind(arguments: list[str]) -> None:
    program = f"""
import sys
from mixspec.cli import main
try:
    main()
except SystemExit as end:
    assert end.code in (0, 1), end.code
finally:
    sys.stdout = sys.stderr
    print("LOADED", end=" ")
    {REPORT}
"""
    done = run(program, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr.rpartition("LOADED ")[2].strip() == "[]"


def spent() -> float:
    """Seconds of the processor that the processes started here have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds(program: str, *arguments: str) -> float:
    start = spent()
    assert run(program, *arguments).returncode == 0
    return spent() - start


def test_start_takes_less_than_a_third_of_importing_torch() -> None:
    """Of the processor's time, the lesser of two runs: what else the machine does delays them and changes no result."""
    programs = {
        "count": ("from mixspec.cli import main; main()", "count", "caformer_s18"),
        "lint": ("from mixspec.cli import main; main()", "lint", "caformer_s18"),
        "torch": ("import torch",),
    }
    rounds = [{name: seconds(*program) for name, program in programs.items()} for _ in range(2)]
    best = {name: min(times[name] for times in rounds) for name in programs}
    assert max(best["count"], best["lint"]) < best["torch"] / 3, best
