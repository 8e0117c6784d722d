"""Operators in C++: every C++ file beside this one, compiled for this very processor when one is first needed.

It takes a C++ compiler (`$CXX`, c++, g++ or clang++) and a few seconds, once: what comes out is kept in the user's
cache folder. Without a compiler, or with `MIXSPEC_NATIVE=0`, the forms in torch do the same, more slowly; a compiler
that fails, or a folder that cannot be written, is a warning.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

SOURCES = sorted(Path(__file__).parent.glob("*.cpp"))
FLAGS = ("-std=c++17", "-O3", "-march=native", "-shared", "-fPIC")
COMPILERS = ("c++", "g++", "clang++")
SWITCH = "MIXSPEC_NATIVE"
PATIENCE = 120
"""Seconds a compiler may take."""

Made = TypeVar("Made")


def available(device: torch.device) -> bool:
    """Whether this form can run."""
    return device.type == "cpu" and library() is not None


def function(name: str, dtype: torch.dtype, arguments: list[Any]) -> Callable[..., None]:
    """A function of the library for one of the two types."""
    found = getattr(library(), f"{name}_{'double' if dtype == torch.float64 else 'float'}")
    found.argtypes, found.restype = arguments, None
    return cast(Callable[..., None], found)


def spread(part: Callable[[int, int], Made], total: int, *, alone: bool = False) -> list[Made]:
    """Call `part(first, last)` on consecutive shares of `total`, one in each of torch's threads, or all in this one.

    Returns what the calls return, in the order of the shares.
    """
    threads = 1 if alone else max(1, min(torch.get_num_threads(), total))
    if threads == 1:
        return [part(0, total)]
    ends = [total * i // threads for i in range(threads + 1)]
    shares = list(pairwise(ends))
    if (parallel := _openmp()) is None:
        return list(_pool(os.getpid(), threads).map(part, *zip(*shares, strict=True)))
    return _in_a_team(parallel, part, shares)


def _in_a_team(parallel: Any, part: Callable[[int, int], Made], shares: list[tuple[int, int]]) -> list[Made]:
    """Every thread of a team takes the next share, until there is none."""
    made: dict[int, Made] = {}
    failed: list[BaseException] = []
    left = iter(enumerate(shares))

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def work(_: int | None) -> None:
        try:
            for index, share in left:
                made[index] = part(*share)
        except BaseException as error:  # nothing may pass through the threads' own frames; it is raised below
            failed.append(error)

    parallel(work, None, len(shares), 0)
    if failed:
        raise failed[0]
    return [made[index] for index in range(len(shares))]


@cache
def _openmp() -> Any:
    """``GOMP_parallel`` of the OpenMP that torch has loaded, None where it is another one.

    Torch's threads wait for their next work with open eyes, and threads of our own would share the cores with them.
    """
    function = getattr(ctypes.CDLL(None), "GOMP_parallel", None)
    if function is not None:
        function.restype, function.argtypes = None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    return function


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads of this process; a forked one has none of its parent's."""
    return ThreadPoolExecutor(threads, f"mixspec-{process}")


@dataclass(frozen=True)
class _Compiler:
    """A program, and what it says about itself."""

    program: str
    version: str

    @classmethod
    def found(cls) -> _Compiler | None:
        """The first one there is."""
        for name in filter(None, (os.environ.get("CXX"), *COMPILERS)):
            if program := shutil.which(name):
                told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
                return cls(program, told.stdout)
        return None


@cache
def library() -> ctypes.CDLL | None:
    """The compiled functions; None where there are none."""
    if os.environ.get(SWITCH, "1") == "0" or os.name != "posix":
        return None
    compiler = _Compiler.found()
    return _compiled(compiler) if compiler else None


def _compiled(compiler: _Compiler) -> ctypes.CDLL | None:
    """Load the library from the cache folder, after it has been made if it is not there."""
    known = "\n".join(
        (*(file.read_text("utf-8") for file in SOURCES), *FLAGS, compiler.version, platform.machine(), _processor())
    )
    file = _folder() / f"native-{hashlib.sha256(known.encode()).hexdigest()[:16]}.so"
    try:
        if not file.exists():
            _compile(compiler.program, file)
        return ctypes.CDLL(str(file))
    except (OSError, subprocess.SubprocessError) as error:
        said = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else ""
        warnings.warn(
            f"no native operators, slower ones in torch take their place: {error} {said}".strip(), stacklevel=2
        )
        return None


def _compile(program: str, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        made = Path(folder, file.name)
        command = [program, *FLAGS, "-o", str(made), *map(str, SOURCES)]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
        made.replace(file)  # at once: other processes may be after it, too


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mixspec"


def _processor() -> str:
    """What the compiler's `native` depends on."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text("utf-8").splitlines() if file.exists() else [platform.processor()]
    return next((line for line in lines if line.startswith(("flags", "Features"))), lines[0])
