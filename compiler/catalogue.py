"""Which documents there are: those that ship, by name, and any file by its path."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from . import document
from .complaints import short
from .errors import SpecError
from .parse import Spec, typed
from .suggest import did_you_mean, nearest

FOLDER = Path(__file__).parents[1] / "specs"
STDIN = "-"
OTHERS = ("recipes", "sweeps")
RECIPES, SWEEPS = (FOLDER / name for name in OTHERS)


@cache
def _shipped() -> dict[str, Path]:
    """Every shipped spec by its name, which is its file's. Recipes and sweeps are no models."""
    files = sorted(FOLDER.glob("*/**/*.yaml"), key=lambda file: file.stem)
    return {file.stem: file for file in files if file.relative_to(FOLDER).parts[0] not in OTHERS}


def names() -> list[str]:
    """The names of all shipped specs, in order."""
    return list(_shipped())


def find(name_or_path: str) -> Path:
    """The file of a shipped name, or that of a path. Raises SpecError for an unknown name; a file is not opened."""
    path = Path(name_or_path)
    if os.path.isfile(path) or path.suffix in document.ENDINGS or len(path.parts) > 1:
        return path
    if name_or_path in _shipped():
        return _shipped()[name_or_path]
    if os.path.exists(path):
        return path
    near = nearest(name_or_path, names())
    hint = did_you_mean(name_or_path, near) if near else f"a file, or one of the {len(names())} shipped names"
    raise SpecError.of("MX001", f"there is no model {short(name_or_path)}", hint)


def load(name_or_path: str) -> Spec:
    """The spec of that name or in that file; ``-`` reads standard input. Raises SpecError."""
    if name_or_path == STDIN:
        return typed(document.load(sys.stdin.buffer.read(document.MAX_BYTES + 1), "<stdin>"))
    return typed(document.read(find(name_or_path)))


@dataclass(frozen=True)
class Shelf:
    """What ships of another kind than specs, all in one folder. ``unknown`` is the code for a name it has not."""

    folder: Path
    kind: str
    unknown: str

    def names(self) -> list[str]:
        """The names of all that ship, in order."""
        return sorted(file.stem for file in self.folder.glob("*.yaml"))

    def find(self, name_or_path: str) -> Path:
        """The file of a shipped name, or of a path; it is not opened. Raises SpecError for an unknown name."""
        path = Path(name_or_path)
        if path.suffix in document.ENDINGS or len(path.parts) > 1:
            return path
        if name_or_path not in self.names():
            hint = did_you_mean(name_or_path, self.names())
            raise SpecError.of(self.unknown, f"there is no {self.kind} {name_or_path!r}", hint)
        return self.folder / f"{name_or_path}.yaml"
