"""mixspec sweep: many trainings from one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..compiler import sweep as sweeps
from ..compiler.errors import SpecError
from ..compiler.show import si
from ._group import group
from ._options import Json
from ._pictures import Picture
from ._table import print_json, table

if TYPE_CHECKING:
    from ..compiler.sweep import Plan
    from ..zoo.sweep.table import Row

NOTHING = "MX846"
HEADS = ("data", "variant", "seeds", "top-1 %", "SD", "gain", "p", "params", "MACs")
app = group("sweep")

Name = Annotated[str, typer.Argument(metavar="NAME_OR_PATH", help="A shipped sweep's name, or a file.")]
Folder = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the runs.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes, or jobs of a cluster, that share the runs.")]
Cluster = Annotated[
    Literal["local", "slurm"], typer.Option("--cluster", help="Where several workers run, through submitit.")
]
Setting = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="For submitit: timeout_min=600, slurm_partition=gpu, ..."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the runs and what has been done of them.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print a table in Markdown.")]


@app.callback()
def command() -> None:
    """Train a network in many variants, and compare them."""


@app.command("list")
def list_() -> None:
    """List the sweeps that ship, with what each tests."""
    plans = [sweeps.read(name) for name in sweeps.names()]
    table(["name", "runs", "claim"], [[p.sweep.name, len(_runs(p, Path())), p.sweep.claim] for p in plans])


@app.command()
def run(
    name: Name,
    output: Folder,
    workers: Workers = 1,
    cluster: Cluster = "local",
    setting: Setting = None,
    dry_run: DryRun = False,
) -> None:
    """Train every variant with every seed; what is done already stays.

    Each run has a folder in DIR and leaves result.json there when it is whole. The same command again continues. With
    --workers, jobs share the runs; those on a cluster are started and left, and the command may be given again later.
    """
    plan = sweeps.read(name)
    if dry_run:
        _list(plan, output)
    elif workers == 1 and cluster == "local":
        _here(plan, output)
    else:
        _shared(str(sweeps.find(name).resolve()), output.resolve(), workers, cluster, _settings(setting))


@app.command("table")
def table_(name: Name, output: Folder, markdown: Markdown = False, json: Json = False) -> None:
    """Mean and standard deviation over seeds, the difference to the baseline, and what each variant costs.

    p is the probability of a difference as large by chance (Welch's t-test, corrected for the number of variants).
    """
    plan = sweeps.read(name)
    rows = _rows(plan, output)
    if json:
        print_json([asdict(row) for row in rows])
        return
    heads, cells = [*HEADS], [_cells(row) for row in rows]
    if plan.sweep.expect:
        heads, cells = [*heads, "claim"], [[*line, row.verdict or ""] for line, row in zip(cells, rows, strict=True)]
    if markdown:
        lines = [heads, ["---"] * len(heads), *cells]
        typer.echo("\n".join(f"| {' | '.join(line)} |" for line in lines))
    else:
        table(heads, cells)


@app.command()
def plot(name: Name, output: Folder, picture: Picture) -> None:
    """Draw every variant's accuracies, with mean and spread, beside its multiply-adds."""
    from ..zoo.sweep.plot import draw

    plan = sweeps.read(name)
    draw(plan.sweep, _rows(plan, output), picture)
    typer.echo(picture)


def _runs(plan: Plan, folder: Path) -> list[Any]:
    from ..zoo.sweep.runs import runs

    return runs(plan, folder)


def _list(plan: Plan, folder: Path) -> None:
    from ..zoo.sweep.runs import found

    rows = []
    for one in _runs(plan, folder):
        result = found(one)
        rows.append([one.data, one.point.label, one.seed, f"{result.top1:.2f}" if result else None])
    table(["data", "variant", "seed", "top-1 %"], rows)


def _here(plan: Plan, folder: Path) -> None:
    from ..zoo.sweep.runs import found, perform

    every = _runs(plan, folder)
    for number, one in enumerate(every, 1):
        done = found(one)
        result = done or perform(one)
        note = "  (done before)" if done else ""
        typer.echo(f"{number}/{len(every)}  {one.name}: {result.top1:.2f} %{note}")


def _shared(plan_file: str, folder: Path, workers: int, cluster: str, settings: dict[str, Any]) -> None:
    from ..zoo.sweep.cluster import finished, started

    folder.mkdir(parents=True, exist_ok=True)
    jobs = started(plan_file, folder, workers, cluster, settings)
    if cluster == "local":
        try:
            typer.echo(f"{finished(jobs)} runs made by {workers} workers")
        except KeyboardInterrupt:
            typer.echo("stopped, the workers too; the same command continues", err=True)
            raise
    else:
        typer.echo(f"jobs {', '.join(job.job_id for job in jobs)} started; their logs are in {folder}/jobs")


def _settings(given: list[str] | None) -> dict[str, Any]:
    """``timeout_min=600`` to a number where it is one. Anything without = is wrong usage."""
    settings: dict[str, Any] = {}
    for text in given or []:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise typer.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--set")
        settings[key] = int(value) if value.isdecimal() else value
    return settings


def _rows(plan: Plan, folder: Path) -> Sequence[Row]:
    from ..zoo.sweep.runs import results
    from ..zoo.sweep.table import rows

    if not (there := results(plan, folder)):
        raise SpecError.of(NOTHING, f"{folder} holds no result of {plan.sweep.name}", "mixspec sweep run comes first")
    return rows(plan, there)


def _cells(row: Row) -> list[str]:
    gain = "" if row.gain is None else f"{row.gain:+.2f}"
    chance = "" if row.p is None else "<0.001" if row.p < 0.001 else f"{row.p:.3f}"
    spread = "" if row.sd is None else f"{row.sd:.2f}"
    return [row.data, row.point, str(row.seeds), f"{row.mean:.2f}", spread, gain, chance, si(row.params), si(row.macs)]
