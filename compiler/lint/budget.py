"""Costs against the limits of a spec and of the configuration."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Problem
from .figures import amount, short
from .file import File

KEYS = ("max_params", "max_macs", "max_activation_bytes")


def over(file: File, code: str, key: str, attribute: str, noun: str) -> Iterator[Problem]:
    """The complaint that a network costs more than ``key`` allows; the spec's own limit goes before the project's."""
    if file.network is None or file.about is None or not (file.about.budget or file.config.budget):
        return
    own = getattr(file.about.budget, key) if file.about.budget else None
    limit = amount(own) if own is not None else file.config.budget.get(key)
    if limit is None or file.cost is None or (exact := getattr(file.cost, attribute)) <= limit:
        return
    where = ("budget", key) if own is not None else ("name",)
    source = "" if own is not None else ", from pyproject.toml"
    over = f"{exact:,} {noun} where {limit:,} are allowed{source}"
    height, width = file.network.at.h, file.network.at.w
    yield file.problem(
        code,
        over,
        _excess(exact, limit),
        where,
        trail=f"counted for a {height}x{width} image: {short(exact)}",
    )


def _excess(exact: int, limit: int) -> str:
    if not limit:
        return "a limit of 0 allows nothing"
    return f"{exact / limit - 1:.1%} too many" if exact < 2 * limit else f"{exact / limit:,.1f} times as many"
