"""A recipe by path.

What
    `recipe` holds a path or an address instead of a name.

Why
    A spec is published with the weights. A path points to somebody's disk, or out of the folder of recipes.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        recipe: ../../home/recipe.yaml

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..file import File


def check(file: File) -> Iterator[Problem]:
    """Recipes with a slash, a backslash or a dot."""
    recipe = file.about.recipe if file.about else None
    if recipe and {"/", "\\", "."} & set(recipe):
        yield file.problem("MX702", f"recipe {recipe!r} is a path", "the name of a shipped recipe", ("recipe",))
