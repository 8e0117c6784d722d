"""Settings that hold for every test."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Read at import by the libraries they name, so set before any test module is collected.
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
if not Path("/dev/nvidiactl").exists():  # without a GPU, Triton's kernels run in its interpreter
    os.environ.setdefault("TRITON_INTERPRET", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("mixspec", deadline=None, derandomize=True, database=None)
settings.load_profile("mixspec")


@pytest.fixture
def compiled_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inductor finds nothing made before: its key does not know when an operator of ours has changed."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))


SEED = 1_000_003
"""Of what a test draws without a word about it; none that a test says."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    _sow()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    _sow()


def _sow() -> None:
    """A test draws the same numbers alone, after others, and in any process."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.default_generator.manual_seed(SEED)
