"""Safetensors files from the outside: what is one, what its header says, whether its tensors are those it says.

Nothing is ever unpickled. A link is followed, since the Hub's cache is made of them; one that leads nowhere is refused,
as is everything that is no regular file. Writing replaces a link, never what it leads to.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from ..compiler.errors import Problem, SpecError
from .disagreement import Tensors, descriptions

NOT_WEIGHTS, WRONG_DIGEST, NOT_FINITE = "MX801", "MX803", "MX808"
LARGEST_HEADER = 25_000_000
"""Bytes; huggingface_hub reads no longer ones either."""
NAMED = 3
"""Tensors that a line names."""
TENSORS_DIGEST = "tensors_sha256"
"""Key of the header under which the digest of everything behind it stands."""

PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""What files of ``torch.save`` begin with."""


class WeightsError(SpecError):
    """A weights file, or a model to be saved, that does not agree with its spec."""


@dataclass(frozen=True)
class Contents:
    """The header of a safetensors file: its metadata, and its tensors in words."""

    facts: Mapping[str, str]
    tensors: Tensors


def contents(path: Path) -> Contents:
    """What a file's header says; no tensor is read. Raises WeightsError for anything else, OSError."""
    _look(path)
    try:
        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            kinds = {name: (tensor.get_shape(), tensor.get_dtype()) for name, tensor in slices.items()}
            return Contents(file.metadata() or {}, descriptions(kinds))
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        what = _wrong_length(path) or (f"no safetensors file, or a damaged one: {reason}", "")
        raise refused(path, NOT_WEIGHTS, *what) from None


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name.

    Raises WeightsError where they are not those that were written, or are not finite.
    """
    with safe_open(path, "pt") as file:
        claimed = (file.metadata() or {}).get(TENSORS_DIGEST)
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    if claimed is not None and (found := _digest(path)) != claimed:
        what = f"the tensors have sha256 {found[:12]}, not {claimed[:12]} as the header claims"
        raise refused(path, WRONG_DIGEST, what, "the file was damaged, or changed after it was written")
    if bad := infinite(state):
        raise refused(path, NOT_FINITE, bad)
    return state


def infinite(state: Mapping[str, Tensor]) -> str:
    """Which tensors hold values that are not finite, in one line; empty where none does."""
    bad = [f"{name} ({_share(tensor)})" for name, tensor in state.items() if not _finite(tensor)]
    if not bad:
        return ""
    more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
    return f"{len(bad)} of {len(state)} tensors hold NaN or infinity: {', '.join(bad[:NAMED])}{more}"


def write(path: Path, state: dict[str, Tensor], facts: Mapping[str, str]) -> None:
    """A safetensors file whose header is in order, which the library's is not: equal models give equal files."""
    blob = memoryview(serialise(state, dict(facts)))
    start = 8 + int.from_bytes(blob[:8], "little")
    header = json.loads(bytes(blob[8:start]))
    header["__metadata__"][TENSORS_DIGEST] = hashlib.sha256(blob[start:]).hexdigest()
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin on a multiple of eight bytes
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.write(blob[start:])


def refused(path: Path, code: str, what: str, hint: str = "") -> WeightsError:
    """The complaint about a file."""
    return WeightsError(Problem(code, what, hint, source=str(path)))


def _look(path: Path) -> None:
    """Raise for what cannot be a safetensors file, before the library opens it, whose errors name no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        if not path.is_symlink():
            raise
        raise refused(path, NOT_WEIGHTS, f"a link to {path.readlink()}, which is not there") from None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise refused(path, NOT_WEIGHTS, "no regular file")
    with path.open("rb") as file:
        start = file.read(8)
    if wrong := _wrong(start, status.st_size):
        raise refused(path, NOT_WEIGHTS, *wrong)


def _wrong(start: bytes, size: int) -> tuple[str, str] | None:
    """What is wrong with a file of so many bytes that starts like this, and what would be right."""
    length = int.from_bytes(start, "little")
    if size == 0:
        return "an empty file", "the download or the copy failed"
    if length > LARGEST_HEADER and start.startswith(PICKLES):
        return "a pickle and no safetensors file: it is not opened", "`mixspec port` reads one without running code"
    if size >= 8 and LARGEST_HEADER < length <= size:
        return f"the header has {length:,} bytes, and more than {LARGEST_HEADER:,} are not read", ""
    if start == b"version ":
        return "a pointer of Git LFS, which stands for a file that was not fetched", "git lfs pull"
    if size < 8 or length > LARGEST_HEADER:
        return "no safetensors file: it does not begin with the length of a header", ""
    if 8 + length > size:
        return f"truncated: {size:,} bytes, and the header alone has {length:,}", "download or copy it again"
    return None


def _wrong_length(path: Path) -> tuple[str, str] | None:
    """Whether a file ends before or behind its last tensor, and what to do; None where its header does not say."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(length)
    try:
        tensors = [value for key, value in json.loads(header).items() if key != "__metadata__"]
        wanted = 8 + length + max(int(tensor["data_offsets"][1]) for tensor in tensors)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None
    size = path.stat().st_size
    if size < wanted:
        return f"truncated: {size:,} of {wanted:,} bytes", "download or copy it again"
    return (f"{size - wanted:,} bytes more than its header tells of", "") if size > wanted else None


def _digest(path: Path) -> str:
    """SHA-256 of everything behind the header."""
    with path.open("rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        return hashlib.file_digest(file, "sha256").hexdigest()


def _finite(tensor: Tensor) -> bool:
    """Whether every value is; the sum says so nearly always, thirty times faster."""
    if not tensor.is_floating_point() or tensor.is_meta:
        return True
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def _share(tensor: Tensor) -> str:
    return f"{int((~torch.isfinite(tensor)).sum())} of {tensor.numel()} values"
