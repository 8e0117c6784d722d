"""mixspec lint: everything that is wrong with specs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from ..compiler.catalogue import STDIN, load
from ..compiler.errors import Problem, SpecError
from ..compiler.resolve import resolve
from ._options import Json
from ._table import print_json

Paths = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PATH]...", help="Files, folders, shipped names, or - for standard input. Default: this folder."
    ),
]


def command(paths: Paths = None, json: Json = False) -> None:
    """Check specs; print every complaint with file, line, column and what would be right.

    Exit code 0: nothing found; 1: complaints; 2: wrong usage. Folders are searched for *.yaml.
    """
    specs = [spec for path in paths or ["."] for spec in _specs(path)]
    problems = [problem for spec in specs for problem in _problems(spec)]
    if json:
        print_json([_data(problem) for problem in problems])
    else:
        for problem in problems:
            typer.echo(str(problem))
        typer.echo(_summary(len(specs), problems), err=True)
    if problems:
        raise typer.Exit(1)


def _specs(path: str) -> list[str]:
    """The specs behind a path: those of a folder, its recipes left out, or the path itself."""
    folder = Path(path)
    if path == STDIN or not folder.is_dir():
        return [path]
    files = [file for file in sorted(folder.rglob("*.yaml")) if not _skipped(file.relative_to(folder))]
    if not files:
        raise typer.BadParameter(f"the folder {path} holds no *.yaml")
    return [str(file) for file in files]


def _skipped(file: Path) -> bool:
    """Recipes, and whatever lies in hidden folders."""
    return any(part == "recipes" or part.startswith(".") for part in file.parts)


def _problems(spec: str) -> tuple[Problem, ...]:
    try:
        resolve(load(spec))
    except SpecError as error:
        return error.problems
    return ()


def _data(problem: Problem) -> dict[str, Any]:
    place = problem.span._asdict() if problem.span else {}
    path = ".".join(map(str, problem.where))
    return {
        "file": problem.source,
        **place,
        "path": path,
        "code": problem.code,
        "what": problem.what,
        "hint": problem.hint,
    }


def _summary(specs: int, problems: list[Problem]) -> str:
    checked = f"{specs} spec{'s' if specs != 1 else ''} checked"
    if not problems:
        return f"{checked}, nothing found."
    codes = ", ".join(f"{count} {code}" for code, count in sorted(Counter(p.code for p in problems).items()))
    return f"{checked}, {len(problems)} complaint{'s' if len(problems) != 1 else ''}: {codes}."
