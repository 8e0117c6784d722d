"""Files that are either the old ones or the new ones, whenever the writing stops."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EINVAL, EISDIR
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to. It takes the place of ``path`` at the end, or vanishes on an error.

    The content is on the disk before the name changes. Raises OSError, which names ``path``; so it does for folders,
    and for devices and pipes, which a file must not take the place of.
    """
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    if path.exists() and not (path.is_file() or path.is_symlink()):
        raise OSError(EINVAL, "is no file that could be replaced", str(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with naming(path, temporary):
            yield temporary
            _sync(temporary, os.O_RDWR)
            temporary.replace(path)
            synced(path.parent)
    finally:
        with suppress(OSError):  # nor is there anything to remove where nothing can be
            temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """An OSError that names no file, as that of a full disk does, or the temporary one, names ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and (error.filename is None or str(error.filename) == str(temporary)):
            error.filename, error.filename2 = str(path), None
        raise


def synced(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        _sync(folder, os.O_RDONLY)


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
