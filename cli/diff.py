"""mixspec diff: what a change of specs does to the networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..compiler import document
from ..compiler.catalogue import OTHERS, load
from ..compiler.diff import Change, data, diff, markdown, text
from ..compiler.errors import Problem, SpecError
from ..compiler.parse import Spec, typed
from ..compiler.resolve import Network, resolve
from ._git import changed, fork, show
from ._options import Json
from ._table import print_json

Format = Literal["text", "json", "markdown"]
SKIPPED = (*OTHERS, "entries")


def command(
    old: Annotated[str, typer.Argument(metavar="OLD", help="A name, a file, REVISION:FILE, or OLD..NEW alone.")],
    new: Annotated[list[str] | None, typer.Argument(metavar="[NEW]", help="As OLD; behind OLD..NEW: paths.")] = None,
    output_format: Annotated[Format, typer.Option("--format", help="Markdown is for a pull request.")] = "text",
    json: Json = False,
) -> None:
    """Compare networks: settings, and stage by stage shapes, parameters, multiply-adds and activation bytes.

    `mixspec diff convformer_s18 caformer_s18` compares two specs, `mixspec diff HEAD:specs/a.yaml specs/a.yaml` a spec
    with its past, `mixspec diff main..HEAD` all specs that differ between revisions (`main..` with the working tree,
    `main...HEAD` since HEAD left main).
    """
    if ".." in old and not Path(old).exists():
        before, dots, after = old.partition("..." if "..." in old else "..")
        before = fork(before, after) if dots == "..." else before
        changes, problems = _revisions(before, after, new or [])
    elif new is None or len(new) != 1:
        raise typer.BadParameter("give two specs, or OLD..NEW")
    else:
        changes, problems = [diff(resolve(_spec(old)), resolve(_spec(new[0])))], []
    _print(changes, "json" if json else output_format)
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        raise typer.Exit(1)


def _revisions(before: str, after: str, paths: list[str]) -> tuple[list[Change], list[Problem]]:
    """The changes of all specs between two revisions, and what is wrong with those that cannot be read."""
    changes: list[Change] = []
    problems: list[Problem] = []
    for first, second in changed(before, after, paths):
        if any(part in SKIPPED for part in Path(second or first or "").parts):
            continue
        try:
            changes.append(diff(_at(before, first), _at(after, second)))
        except SpecError as error:
            problems += error.problems
    return changes, problems


def _at(revision: str, path: str | None) -> Network | None:
    """The network a file means in a revision."""
    if path is None:
        return None
    return resolve(typed(document.load(show(revision, path), f"{revision}:{path}" if revision else path)))


def _spec(name: str) -> Spec:
    revision, colon, path = name.partition(":")
    if colon and not Path(name).exists():
        return typed(document.load(show(revision, path), name))
    return load(name)


def _print(changes: list[Change], output_format: Format) -> None:
    if output_format == "json":
        print_json([data(change) for change in changes])
    elif not changes:
        typer.echo("No spec changed." if output_format == "text" else "No network changed.")
    else:
        write = markdown if output_format == "markdown" else text
        typer.echo("\n".join(write(change) for change in changes), nl=False)
