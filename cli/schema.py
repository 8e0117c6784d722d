"""mixspec schema: JSON Schema of specs."""

from __future__ import annotations

from typing import Annotated

import typer

from ..compiler.families import registry as families
from ..compiler.schema import recipe_schema, schema
from ..compiler.suggest import did_you_mean
from ._table import print_json


def command(
    family: Annotated[str | None, typer.Option(metavar="NAME", help="Of this family alone.")] = None,
    recipe: Annotated[bool, typer.Option("--recipe", help="Of training recipes instead.")] = False,
) -> None:
    """Print the JSON Schema of specs, for editors and other validators.

    Save it and name it in the first line of a spec, and editors complete and explain every key:
    `# yaml-language-server: $schema=mixspec.schema.json`
    """
    if recipe:
        return print_json(recipe_schema())
    if family is not None and family not in families:
        raise typer.BadParameter(
            f"there is no family {family!r} ({did_you_mean(family, families)})", param_hint="--family"
        )
    print_json(schema(family))
