"""Commands of a command, such as ``mixspec zoo list``."""

from __future__ import annotations

import typer

HELP = {"help_option_names": ["-h", "--help"]}


def group(name: str) -> typer.Typer:
    """The group of that name, without commands yet."""
    return typer.Typer(name=name, add_completion=False, no_args_is_help=True, context_settings=HELP)
