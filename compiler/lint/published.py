"""Printed figures against the exact count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..counters import PRICES, counted
from ..errors import Problem
from ..spec import Published
from .figures import Printed, printed
from .file import File


def rows(file: File) -> Iterator[tuple[int, Published]]:
    """What papers print of the network, each with its place in the list."""
    return enumerate(file.about.published if file.about else ())


def figures(row: Published) -> list[Printed]:
    """The printed figures of a row that can be compared."""
    return [figure for text in (row.params, row.flops) if text is not None and (figure := printed(text))]


def params(file: File, index: int, row: Published) -> Iterator[Problem]:
    """Printed parameters that the network does not have."""
    figure = printed(row.params) if row.params else None
    if figure and file.cost and not figure.agrees(exact := file.cost.params):
        what = f"{row.params} printed, {exact:,} counted ({figure.show(exact)})"
        hint = "correct the spec, or say under `disputed` how the paper contradicts itself"
        yield file.problem("MX401", what, hint, ("published", index, "params"))


def flops(file: File, index: int, row: Published) -> Iterator[Problem]:
    """Printed work that the network does not have by the counter that is named."""
    figure = printed(row.flops) if row.flops else None
    if figure is None or file.network is None or file.cost is None:
        return
    exact = file.cost.macs if row.counter == "macs" else counted(file.network, row.counter)
    if figure.agrees(exact):
        return
    fitting = [name for name in PRICES if figure.agrees(counted(file.network, name))]
    what = f"{row.flops} printed, {exact:,} counted by {row.counter} ({figure.show(exact)})"
    hint = (
        f"it is the figure of counter: {' or '.join(fitting)}"
        if fitting
        else "correct the spec, or say how under `disputed`"
    )
    problem = file.problem("MX402", what, hint, ("published", index, "flops"))
    if fitting and file.has(("published", index, "counter")):
        span = file.span(("published", index, "counter"))
        problem = replace(problem, span=span, where=("published", index, "counter"), nearest=tuple(fitting))
    yield problem
