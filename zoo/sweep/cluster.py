"""The runs of a sweep on several processes or machines, through submitit: on this one, or on a Slurm cluster."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...compiler.errors import SpecError
from .runs import share

NO_ENGINE, FAILED = "MX844", "MX845"
STDERR = 2
JOBS = "jobs"
"""Folder of the workers' logs, beside the runs."""
LONGEST = {"local": 60 * 24 * 365, "slurm": 60 * 24}
"""Minutes a worker may take where nothing else is asked for; submitit would stop it after five."""


def started(plan_file: str, folder: Path, workers: int, cluster: str, settings: Mapping[str, Any]) -> list[Any]:
    """Start ``workers`` jobs, each with its share of the runs, and return them without waiting.

    ``cluster`` is `local` or `slurm`; ``settings`` are submitit's (`timeout_min`, `slurm_partition`, `gpus_per_node`).
    Raises SpecError where submitit or the cluster is missing, or a setting is unknown.
    """
    try:
        import submitit
    except ModuleNotFoundError:
        raise SpecError.of(NO_ENGINE, "several workers need submitit", "pip install 'mixspec[train]'") from None
    try:
        executor = submitit.AutoExecutor(folder=folder / JOBS, cluster=cluster)
        executor.update_parameters(**{"timeout_min": LONGEST[cluster], **settings})
    except (RuntimeError, NameError, ValueError) as error:
        raise SpecError.of(NO_ENGINE, f"{cluster} cannot be used: {str(error).splitlines()[0]}") from None
    numbers = range(workers)
    with _apart(folder / JOBS / "controllers.log"):
        return list(executor.map_array(share, [plan_file] * workers, [folder] * workers, numbers, [workers] * workers))


@contextmanager
def _apart(log: Path) -> Iterator[None]:
    """Processes started now write their errors to a file: submitit's controllers end Ctrl-C with a traceback each."""
    ours = os.dup(STDERR)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), STDERR)
        yield
    finally:
        os.dup2(ours, STDERR)
        os.close(ours)


def finished(jobs: list[Any]) -> int:
    """Wait for all jobs; how many runs they made. Ctrl-C stops them, too.

    Raises SpecError that names the logs of a worker that failed.
    """
    made, failed = 0, []
    try:
        for job in jobs:
            if error := job.exception():
                failed.append((job, _reason(str(error))))
            else:
                made += job.result()
    except KeyboardInterrupt:
        for job in jobs:
            job.cancel()
        raise
    if failed:
        job, reason = failed[0]
        what = f"{len(failed)} of {len(jobs)} workers failed, the first with: {reason}"
        raise SpecError.of(
            FAILED, what, f"its log is {job.paths.stderr}; the finished runs stay, run again for the rest"
        )
    return made


def _reason(text: str) -> str:
    """The last line of the traceback that submitit puts between two lines of dashes, or of a text without."""
    parts = re.split(r"\n-{5,}\n", text)
    return (parts[1] if len(parts) > 1 else text).strip().splitlines()[-1].strip()
