"""A recipe that does not exist.

What
    `recipe` names a file of the folder `specs/recipes`, without `.yaml`.

Why
    Training would fail when it starts, or the weights' card would point nowhere.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        recipe: no_such_recipe

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from ...catalogue import FOLDER
from ...errors import Problem
from ...suggest import did_you_mean, nearest
from ..file import File

severity = "warning"
repairs = True


@cache
def recipes() -> tuple[str, ...]:
    """The shipped recipes, in order."""
    return tuple(sorted(path.stem for path in (FOLDER / "recipes").glob("*.yaml")))


def check(file: File) -> Iterator[Problem]:
    """Names that are none of the shipped ones; paths are another rule's business."""
    recipe = file.about.recipe if file.about else None
    if recipe and recipe not in recipes() and not {"/", "\\", "."} & set(recipe):
        hint = did_you_mean(recipe, recipes())
        problem = file.problem("MX506", f"there is no recipe {recipe!r}", hint, ("recipe",))
        yield replace(problem, nearest=tuple(nearest(recipe, recipes())))
