"""The recipe's place in former versions; it is :mod:`mixspec.compiler.recipe`."""

from ...compiler.recipe import RECIPES, Recipe, find, names, read, typed

__all__ = ["RECIPES", "Recipe", "find", "names", "read", "typed"]
