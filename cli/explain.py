"""mixspec explain: what a code or an operator means."""

from __future__ import annotations

from typing import Annotated

import typer

from ..compiler.explain import explain, markdown
from ..compiler.lint.rule import rules


def command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[CODE or NAME]...", help="MX203, CADAsp, resnet.")
    ] = None,
    all_rules: Annotated[bool, typer.Option("--all", help="Every rule of the linter, one line each.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="With --all: the page of the documentation.")] = False,
) -> None:
    """Explain a code of the linter, or an operator: what it is, its keys, its inductive biases."""
    if all_rules:
        lines = [f"{rule.code}  {rule.severity:<7}  {rule.title}" for rule in rules().values()]
        typer.echo(markdown() if as_markdown else "\n".join(lines) + "\n", nl=False)
    elif names:
        typer.echo("\n".join(explain(name) for name in names), nl=False)
    else:
        raise typer.BadParameter("name a code or an operator, or give --all")
