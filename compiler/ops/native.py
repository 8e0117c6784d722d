"""The native form of the aggregation: `native.cpp`, compiled for this very processor when it is first needed, together
with every other C++ file beside it.

It takes a C++ compiler (`$CXX`, c++, g++ or clang++) and a few seconds, once: what comes out is kept in the user's
cache folder. Without a compiler, or with `MIXSPEC_NATIVE=0`, the forms in torch do the same, more slowly; a compiler
that fails, or a folder that cannot be written, is a warning.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from .window import Window

SOURCES = sorted(Path(__file__).parent.glob("*.cpp"))
FLAGS = ("-O3", "-march=native", "-shared", "-fPIC")
COMPILERS = ("c++", "g++", "clang++")
SWITCH = "MIXSPEC_NATIVE"
PATIENCE = 120
"""Seconds a compiler may take."""

# Per thread: maps of a block, which are made for it and read at once, should not be far from a core.
BLOCK_BYTES = 1 << 22


def unit(window: Window) -> int:
    """Numbers of one head's map, and of what it is applied to."""
    return (window.taps + 2 * window.channels) * window.out_height * pitch(window)


def available(device: torch.device) -> bool:
    """Whether this form can run."""
    return device.type == "cpu" and library() is not None


def forward(x: Tensor, maps: Tensor, y: Tensor, window: Window) -> None:
    """What `shifts.forward` computes, in this form. The rows of `maps` may lie `pitch` apart, or close together."""
    pitched = y.new_empty((*y.shape[:3], window.out_height * pitch(window)))
    _run("forward", _phases(x, y.dtype, window), _pitched(maps, window), pitched, window)
    _crop(pitched, y, window)


def map_gradient(x: Tensor, grad: Tensor, dmaps: Tensor, window: Window) -> None:
    """What `shifts.map_gradient` computes, in this form."""
    source, grad, maps = _phases(x, grad.dtype, window), _pitched(grad, window), _pitched(dmaps, window)
    _run("map_gradient", source, maps, grad, window)
    if maps is not dmaps:
        _crop(maps, dmaps, window)


def input_gradient(maps: Tensor, grad: Tensor, dx: Tensor, window: Window) -> None:
    """What `shifts.input_gradient` computes, in this form."""
    flat, phases = _buffer(dx, grad.dtype, window)
    _run("input_gradient", flat, _pitched(maps, window), _pitched(grad, window), window)
    padded = phases.permute(0, 1, 4, 2, 5, 3).reshape(*dx.shape[:2], window.stride * window.rows, -1)
    window.unpad(padded, dx)


def pitch(window: Window) -> int:
    """Numbers from one row to the next: the columns of one stride phase of the padded input."""
    return -(-window.padded_width // window.stride)


def _buffer(like: Tensor, dtype: torch.dtype, window: Window) -> tuple[Tensor, Tensor]:
    """Zeros for a padded block (n, C, ...), and a view (n, C, stride, stride, rows, pitch) of them by stride phase.

    The buffer is longer by what the last outputs, which are cut off, read behind the last channel.
    """
    shape = (*like.shape[:2], window.stride, window.stride, window.rows, pitch(window))
    size = math.prod(shape)
    flat = like.new_zeros((size + window.kernel,), dtype=dtype)
    return flat, flat[:size].view(shape)


def _phases(x: Tensor, dtype: torch.dtype, window: Window) -> Tensor:
    """(n, C, H, W) padded, rows and columns sorted by their phase of the stride, in a flat buffer."""
    flat, phases = _buffer(x, dtype, window)
    if window.stride == 1:
        window.interior(phases.flatten(1, 3)).copy_(x)
        return flat
    padded = x.new_zeros((*x.shape[:2], window.stride * window.rows, window.stride * pitch(window)), dtype=dtype)
    window.interior(padded).copy_(x[:, :, : window.interior_rows])
    split = padded.unflatten(3, (-1, window.stride)).unflatten(2, (-1, window.stride))
    phases.copy_(split.permute(0, 1, 3, 5, 2, 4))
    return flat


def _pitched(planes: Tensor, window: Window) -> Tensor:
    """Planes (..., Ho * Wo) with rows `pitch` apart, zeros between them; those that are so already as they are."""
    rows, wide = window.out_height, pitch(window)
    if planes.shape[-1] == rows * wide and planes.is_contiguous():
        return planes
    made = planes.new_zeros((*planes.shape[:-1], rows, wide))
    source = planes.unflatten(-1, (rows, -1))
    made[..., : source.shape[-1]].copy_(source)
    return made.flatten(-2)


def _crop(pitched: Tensor, planes: Tensor, window: Window) -> None:
    """Copy planes (..., Ho * pitch) to others, whose rows may lie closer together."""
    rows = planes.unflatten(-1, (window.out_height, -1))
    rows.copy_(pitched.unflatten(-1, (window.out_height, -1))[..., : rows.shape[-1]])


class _Sizes(ctypes.Structure):
    """`Sizes` of native.cpp."""

    _fields_ = [(name, ctypes.c_long) for name in ("taps", "channels", "out", "in", "heads", "maps_step")]


ARGUMENTS = [ctypes.c_void_p] * 3 + [ctypes.c_long] * 2 + [ctypes.POINTER(ctypes.c_long), ctypes.POINTER(_Sizes)]


def _run(name: str, x: Tensor, maps: Tensor, y: Tensor, window: Window) -> None:
    """Call a function of the library on every head of every image, the heads shared out among torch's threads."""
    call = function(name, y.dtype, ARGUMENTS)
    (images, heads), out = y.shape[:2], window.out_height * pitch(window)
    assert all(tensor.is_contiguous() and tensor.dtype == y.dtype for tensor in (x, maps, y))
    shared = len(maps) == 1 and images > 1
    area = window.stride**2 * window.rows * pitch(window)
    sizes = _Sizes(window.taps, window.channels, out, area, heads, 0 if shared else heads)
    pointers, offsets = (x.data_ptr(), maps.data_ptr(), y.data_ptr()), _offsets(window)

    def part(first: int, last: int) -> None:
        call(*pointers, first, last, offsets, sizes)

    # images that share a map add to the same gradient, and must take turns
    spread(part, images * heads, alone=shared and name == "map_gradient")


@lru_cache(maxsize=256)
def _offsets(window: Window) -> ctypes.Array[ctypes.c_long]:
    """Where each tap reads for the first output, in a channel whose phases lie one after another."""
    step, row = window.rows * pitch(window), pitch(window)

    def along(tap: int) -> tuple[int, int]:
        return tap % window.stride, tap // window.stride

    taps = [(along(dy), along(dx)) for dy in range(window.kernel) for dx in range(window.kernel)]
    found = [(a * window.stride + b) * step + i * row + j for (a, i), (b, j) in taps]
    return (ctypes.c_long * len(found))(*found)


def function(name: str, dtype: torch.dtype, arguments: list[Any]) -> Callable[..., None]:
    """A function of the library for one of the two types."""
    found = getattr(library(), f"{name}_{'double' if dtype == torch.float64 else 'float'}")
    found.argtypes, found.restype = arguments, None
    return cast(Callable[..., None], found)


def spread(part: Callable[[int, int], None], total: int, *, alone: bool = False) -> None:
    """Call `part(first, last)` on consecutive shares of `total`, one in each of torch's threads, or all in this one."""
    threads = 1 if alone else min(torch.get_num_threads(), total)
    if threads == 1:
        part(0, total)
        return
    ends = [total * i // threads for i in range(threads + 1)]
    list(_pool(os.getpid(), threads).map(part, ends, ends[1:]))


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
