"""Where the commands that read and write specs as text find them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from ..compiler.catalogue import STDIN, find
from ..compiler.document import ENDINGS, MAX_BYTES

STDIN_NAME = "<stdin>"

Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PATH]...", help="Files, folders, shipped names, or - for standard input. Default: this folder."
    ),
]
StdinName = Annotated[
    str, typer.Option("--stdin-filename", metavar="FILE", help="The name that standard input goes by.")
]


def files(paths: Iterable[str] | None) -> Iterator[Path | None]:
    """The files behind paths, folders searched for specs; None is standard input. Raises SpecError."""
    for path in paths or ["."]:
        folder = Path(path)
        if path == STDIN:
            yield None
        elif folder.is_dir():
            yield from _inside(folder)
        else:
            yield find(path)


def _inside(folder: Path) -> list[Path]:
    """The specs, recipes and sweeps of a folder: no entries of weight files, nothing hidden."""
    found = sorted(_below(folder))
    if not found:
        raise typer.BadParameter(f"the folder {folder} holds no *.yaml or *.yml")
    return found


def _below(folder: Path) -> Iterator[Path]:
    for top, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _skipped(name)]
        yield from (Path(top, name) for name in names if name.endswith(ENDINGS) and not _skipped(name))


def _skipped(name: str) -> bool:
    return name == "entries" or name.startswith(".")


def stdin() -> bytes:
    """Standard input, never more of it than a spec may hold."""
    return sys.stdin.buffer.read(MAX_BYTES + 1)


def write(path: Path | None, text: str) -> None:
    """Put a text back where it came from: into its file, or on standard output. Bytes that are no UTF-8 stay.

    A link stays one, and the file it names keeps its permissions.
    """
    content = text.encode("utf-8", "surrogateescape")
    if path is None:
        sys.stdout.buffer.write(content)
        return
    from ..zoo.atomic import replacing

    file = path.resolve()
    with replacing(file) as temporary:
        temporary.write_bytes(content)
        shutil.copymode(file, temporary)
