"""Building loads what the network needs and nothing else."""

from __future__ import annotations

import subprocess
import sys

UNUSED = ("timm", "torchvision", "torch._dynamo", "torch._inductor", "sympy", "accelerate", "matplotlib", "sklearn")
"""What takes seconds to import and builds nothing."""


def loaded_by(program: str) -> set[str]:
    """The modules of `UNUSED` that a fresh process has loaded after the program."""
    report = f"import sys; print(*(name for name in {UNUSED} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{report}"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_a_network_is_built_and_saved_by_torch_alone(tmp_path) -> None:
    program = f"""
from mixspec.cli import app
app(["build", "digits_dw", "--save", {str(tmp_path / "w.safetensors")!r}], standalone_mode=False)
"""
    assert loaded_by(program) == set()


def test_a_shipped_network_answers_by_torch_alone(tmp_path) -> None:
    program = f"""
from PIL import Image
from mixspec.cli import app
Image.new("L", (28, 28), 200).save({str(tmp_path / "a.png")!r})
app(["predict", "digits_dw", {str(tmp_path / "a.png")!r}], standalone_mode=False)
"""
    assert loaded_by(program) == set()


def test_what_is_loaded_is_seen() -> None:
    assert loaded_by("import sympy") == {"sympy"}
