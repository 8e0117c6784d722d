"""Trainings in forked processes, alone or several together: torch is imported once for all of them."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # a process with a pool of threads must not be forked, nor may torch be told to make one

Work = Callable[[int], None]
"""What a process does, by its number."""


def forked(work: Work, processes: int, said: Path, env: Mapping[str, str] | None = None) -> list[int]:
    """Start the processes as a launcher would; what they say is appended to a file. Returns their ids."""
    with socket.socket() as kept:  # by the processes too, to their end: nobody else is given this port
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the first of them may listen there all the same
        kept.bind(("127.0.0.1", 0))
        port = str(kept.getsockname()[1])
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo", **(env or {})}
        return [_child(work, processes, rank, said, where) for rank in range(processes)]


def _child(work: Work, processes: int, rank: int, said: Path, where: Mapping[str, str]) -> int:
    child = os.fork()
    if child:
        return child
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    if processes > 1:
        os.environ |= {**where, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)}
    code = 1
    try:
        work(rank)
        code = 0
    finally:
        if code:
            sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        sys.stderr.flush()
        os._exit(code)


def ended(children: list[int]) -> list[int]:
    """Wait for all of them; when one fails, the others, which would wait for it in vain, are killed. Their statuses."""
    statuses, left = [], list(children)
    while left:
        child, status = os.wait()
        left.remove(child)
        statuses.append(status)
        if status:
            for other in left:
                os.kill(other, signal.SIGKILL)
    return statuses


def together(work: Work, processes: int, said: Path, env: Mapping[str, str] | None = None) -> None:
    """Run to the end. Raises SystemExit with what was said where a process fails."""
    if any(ended(forked(work, processes, said, env))):
        raise SystemExit(f"a process failed:\n{said.read_text()}")
