"""mixspec conform: whether a mixer or a network keeps what all of them promise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from ..compiler.catalogue import load
from ..compiler.mixers import registry
from ..compiler.resolve import resolve
from ._options import Json
from ._table import print_json, table

if TYPE_CHECKING:
    from ..zoo.conform.check import Result

What = Annotated[
    str, typer.Argument(metavar="MIXER_OR_SPEC", help="A mixer's name, or a spec: a shipped name, a file, or -.")
]
Small = Annotated[bool, typer.Option("--reduced", help="A network of one block in every stage, for a small image.")]


def command(what: What, reduced: Small = False, json: Json = False) -> None:
    """Check a mixer or a network, and say what is wrong and what to do.

    A mixer (yours too, once it is installed under the entry points mixspec.mixers): its notation, counts, gradients,
    copies, precision, compiling, export, and whether its traits are what is measured. A network: timm's model contract,
    by the assertions of timm's own tests. Ends with exit code 1 where something is wrong.
    """
    results = list(_results(what, reduced))
    if json:
        fields = ("name", "holds", "complaints", "hint", "green")
        print_json([{field: getattr(result, field) for field in fields} for result in results])
    else:
        _print(results)
    if not all(result.green for result in results):
        raise typer.Exit(1)


def _results(what: str, small: bool) -> Iterator[Result]:
    from ..zoo.conform.check import run

    if what in registry:
        from ..zoo.conform import mixers

        if small:
            raise typer.BadParameter("a mixer is small already", param_hint="--reduced")
        return run(mixers.CHECKS, registry[what])
    from ..zoo.conform import networks

    spec = load(what)
    network = networks.reduced(spec) if small else resolve(spec)
    return run(networks.CHECKS, networks.Subject(network))


def _print(results: list[Result]) -> None:
    """One line for a check, and below the table what is wrong."""
    table(("check", "", "what holds"), [(one.name, "green" if one.green else "red", one.holds) for one in results])
    for result in results:
        for complaint in result.complaints:
            typer.echo(f"\n{result.name}: {complaint}")
        if result.complaints and result.hint:
            typer.echo(f"  hint: {result.hint}")
    red = sum(not result.green for result in results)
    typer.echo(f"\n{len(results) - red} of {len(results)} checks are green")
