"""Settings that hold for every test."""

import os
from pathlib import Path

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
