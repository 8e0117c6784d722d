"""One run at a time in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...compiler.errors import Problem, SpecError

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

BUSY = "MX820"
LOCK = "run.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within, no other process gets in; the lock goes with its process, however that ends, and not to its children.

    Raises SpecError where another process is in. Without POSIX locks nothing is checked.
    """
    with (folder / LOCK).open("a") as file:
        if fcntl is not None:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                hint = "wait for it, or take another folder"
                raise SpecError(Problem(BUSY, "another run is training here", hint, source=str(folder))) from None
        yield
