"""The command ``mixspec``. One file per command; the folder is the registry.

A file ``cli/NAME.py`` is the command ``mixspec NAME``: it defines a function ``command`` whose parameters are annotated
for Typer and whose docstring is the help (the first line alone in the list of commands). Files whose names start with
an underscore are helpers. ::

    \"\"\"mixspec count: what networks cost.\"\"\"

    def command(models: Models, image: Image = None, json: Json = False) -> None:
        \"\"\"Count parameters and multiply-adds.\"\"\"
        networks = [resolve(load(model)) for model in models]
        ...

A file that also defines ``app``, a Typer with ``command`` as its callback, is a group: ``mixspec zoo list``.

A command's file is imported when the command is run, and all of them for the list of commands. So torch, timm and
everything in ``zoo`` that needs them are imported in the function's body. A body is the pipeline, cut short: it raises
``SpecError`` (or lets it pass) for anything wrong with the input, which becomes lines on standard error and exit
code 1; ``typer.BadParameter`` is for wrong usage, exit code 2; ``typer.Exit(1)`` for findings.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, MutableMapping
from errno import EPIPE
from functools import cached_property
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from ..compiler.errors import SpecError
from ._group import HELP

FINDINGS, INTERRUPTED = 1, 130
"""Exit codes: something is wrong with the input; Ctrl-C."""


class Commands(MutableMapping[str, Any]):
    """The commands by name; each is imported when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    @cached_property
    def _names(self) -> list[str]:
        files = sorted(Path(__file__).parent.glob("*.py"))
        return [file.stem.replace("_", "-") for file in files if not file.stem.startswith("_")]

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = _command(name)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        raise TypeError(f"{name} is a command when there is a file of that name in {__name__}")

    def __delitem__(self, name: str) -> None:
        self[name] = None

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names


def _command(name: str) -> Any:
    """The command, or the group of commands, out of its file."""
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(add_completion=False, context_settings=HELP)
        app.command(name)(module.command)
    return _flowing(get_command(app))


def _flowing(command: Any) -> Any:
    """The command, and those in it, with paragraphs of help whose lines end where the terminal's do."""
    paragraphs = cleandoc(command.help or "").split("\n\n")
    command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for inner in getattr(command, "commands", {}).values():
        _flowing(inner)
    return command


class Group(TyperGroup):
    """All commands of the folder, and what becomes of their errors."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = Commands()

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(self.commands)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")  # pydantic's words, through Typer
            raise
        except SpecError as error:
            typer.echo(str(error), err=True)
        except OSError as error:
            if error.filename is None and (error.errno in (None, EPIPE)):  # a broken pipe is Typer's business
                raise
            typer.echo(f"{error.filename or 'mixspec'}: {(error.strerror or 'cannot be used').lower()}", err=True)
        raise typer.Exit(FINDINGS)


app = typer.Typer(cls=Group, no_args_is_help=True, pretty_exceptions_enable=False, context_settings=HELP)


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"mixspec {__version__}")
        raise typer.Exit


@app.callback()
def mixspec(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Compile a written description of a vision backbone, say what it costs, train it, keep its weights."""


def main() -> None:
    """The entry point. Ends the process with 0, 1 (findings), 2 (usage) or 130 (Ctrl-C)."""
    try:
        app(prog_name="mixspec")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FINDINGS)
