"""Checkpoints: folders that are there whole or not at all, and are read only if every byte is as it was written.

A folder ``checkpoints/00001234`` is named after the updates behind it. It holds safetensors files and ``state.json``,
which is written last, says of every file how long it is and what its SHA-256 is, and holds whatever is no tensor.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ..atomic import naming, synced

FOLDER, STATE, FORMAT = "checkpoints", "state.json", 1
DIGITS = 8

Files = Mapping[str, Mapping[str, Tensor]]
"""Tensors by name, by the name of their file without its ending."""


class Damaged(ValueError):
    """A checkpoint that is not what was written."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that has been read and found whole."""

    path: Path
    facts: dict[str, Any]

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of a file. Raises Damaged."""
        try:
            return load(content(self.path / f"{name}.safetensors", self.facts["files"]))
        except SafetensorError as error:
            raise Damaged(f"{name}.safetensors: {error}") from None


@dataclass(frozen=True)
class Store:
    """The checkpoints of a run. Every process calls ``write``, the first one alone tidies up."""

    folder: Path
    keep: int

    def write(self, updates: int, facts: Mapping[str, Any], files: Files, accelerator: Accelerator) -> Path:
        """A new checkpoint, each process with its own files; then the oldest go.

        Raises OSError on all processes where one of them cannot write; nothing of it stays.
        """
        final = self.folder / f"{updates:0{DIGITS}d}"
        fresh = self.folder / f".{final.name}.new"
        first = accelerator.is_main_process
        try:
            together(accelerator, lambda: _emptied(fresh) if first else None)
            parts = together(accelerator, lambda: {name: put(fresh, name, tensors) for name, tensors in files.items()})
            told = {**facts, "format": FORMAT, "files": {name: one for part in parts for name, one in part.items()}}
            together(accelerator, lambda: self._publish(fresh, final, told) if first else None)
        except OSError:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        return final

    def _publish(self, fresh: Path, final: Path, facts: Mapping[str, Any]) -> None:
        _put(fresh / STATE, json.dumps(facts).encode())
        synced(fresh)
        _removed(final)  # what a damaged one of that name left
        fresh.rename(final)
        synced(self.folder)
        for old in self.paths()[: -self.keep]:
            _removed(old)

    def paths(self) -> list[Path]:
        """The folders there are, the oldest first."""
        found = self.folder.glob("[0-9]" * DIGITS + "*") if self.folder.is_dir() else ()
        return sorted((path for path in found if path.name.isdecimal()), key=lambda path: int(path.name))

    def newest(self, damaged: Callable[[Path, str], None]) -> Checkpoint | None:
        """The newest that is whole; ``damaged`` hears of every one that is passed over, and why."""
        for path in reversed(self.paths()):
            try:
                return read(path)
            except (Damaged, OSError) as error:
                damaged(path, str(error))
        return None

    def tidy(self) -> None:
        """Remove what was being written, or removed, when a run was killed."""
        for path in self.folder.glob(".*") if self.folder.is_dir() else ():
            shutil.rmtree(path, ignore_errors=True)


def read(path: Path) -> Checkpoint:
    """A checkpoint with every file checked. Raises Damaged, OSError."""
    try:
        facts = json.loads((path / STATE).read_bytes())
        files = dict(facts["files"])
    except (ValueError, TypeError, KeyError):
        raise Damaged(f"{STATE} cannot be read") from None
    if facts.get("format") != FORMAT:
        raise Damaged(f"{STATE} has format {facts.get('format')}, this version reads {FORMAT}")
    for name in files:
        content(path / f"{name}.safetensors", files)
    return Checkpoint(path, facts)


def content(file: Path, files: Mapping[str, Any]) -> bytes:
    """A file's bytes. Raises Damaged where they are not those that were written, OSError."""
    wanted = files[file.stem]
    found = file.read_bytes()
    if len(found) != wanted["bytes"]:
        raise Damaged(f"{file.name} has {len(found)} of {wanted['bytes']} bytes")
    if hashlib.sha256(found).hexdigest() != wanted["sha256"]:
        raise Damaged(f"{file.name} was changed after it was written")
    return found


def put(folder: Path, name: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Write a file of tensors; what ``state.json`` says of it."""
    blob = save(dict(tensors))
    _put(folder / f"{name}.safetensors", blob)
    return {"bytes": len(blob), "sha256": hashlib.sha256(blob).hexdigest()}


def _put(path: Path, blob: bytes) -> None:
    with naming(path), path.open("wb") as file:
        file.write(blob)
        file.flush()
        os.fsync(file.fileno())


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _removed(folder: Path) -> None:
    """Gone at once, though its files go one by one."""
    if folder.exists():
        gone = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def together(accelerator: Accelerator, work: Callable[[], Any]) -> list[Any]:
    """What ``work`` gave on every process. Raises the OSError of one of them on all."""
    try:
        mine: Any = work()
    except OSError as error:
        mine = error
    every = gather_object([mine]) if accelerator.num_processes > 1 else [mine]
    for one in every:
        if isinstance(one, OSError):
            raise one
    return every
