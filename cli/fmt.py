"""mixspec fmt: specs as they are usually written."""

from __future__ import annotations

from typing import Annotated

import typer

from ..compiler.document import content, decode
from ..compiler.errors import Problem, SpecError
from ..compiler.fmt import format_text
from ..compiler.lint.changes import unified
from ._files import STDIN_NAME, Paths, StdinName, files, stdin, write


def command(
    paths: Paths = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; end with 1 if a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; show what would change.")] = False,
    stdin_filename: StdinName = STDIN_NAME,
) -> None:
    """Write the notation of specs the usual way and remove loose white space. Comments and order stay.

    Standard input (-) goes to standard output. A file that is no spec is left alone, reported, and the exit code is 1.
    """
    changed, problems = 0, list[Problem]()
    for path in files(paths):
        source = stdin_filename if path is None else str(path)
        try:
            text = decode(stdin() if path is None else content(path), source)
            tidy = format_text(text, source)
        except SpecError as error:
            problems += error.problems
            continue
        changed += tidy != text
        if diff:
            typer.echo(unified(text, tidy, source), nl=False)
        elif check and tidy != text:
            typer.echo(f"would change {source}")
        elif not check and (path is None or tidy != text):
            write(path, tidy)
    for problem in problems:
        typer.echo(str(problem), err=True)
    typer.echo(
        f"{changed} file{'s' if changed != 1 else ''} {'would change' if check or diff else 'changed'}.", err=True
    )
    if problems or (changed and (check or diff)):
        raise typer.Exit(1)
