"""The results of a sweep as a table: mean and spread over seeds, what is significant, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from ...compiler.sweep import Plan
from .runs import Result


@dataclass(frozen=True)
class Row:
    """One point on one data set. Accuracies in percent of the test images.

    ``sd`` is the sample standard deviation over seeds, None for a single one. ``gain`` is the difference of the means
    to the baseline's, and ``p`` the probability of one as large by chance: Welch's t-test, two-sided, corrected for the
    number of points by Holm's method. Both are None for the baseline itself, ``p`` also where a spread is missing.
    """

    data: str
    point: str
    seeds: int
    top1: tuple[float, ...]
    mean: float
    sd: float | None
    gain: float | None
    p: float | None
    params: int
    macs: int
    verdict: str | None = None
    """What becomes of the sweep's expectation: agrees, open (no significant difference), disagrees."""


CERTAIN = 0.05
"""Probability below which a difference counts."""


def rows(plan: Plan, results: Sequence[Result]) -> list[Row]:
    """A row for each point that has results, data set by data set, in the order of the sweep."""
    order = {point.label: place for place, point in enumerate(plan.points)}
    sets = list(dict.fromkeys(result.data for result in results))
    table = [row for data in sets for row in _table(plan.sweep.baseline, data, _by_point(results, data, order))]
    return [replace(row, verdict=_verdict(plan.sweep.expect.get(row.point), row)) for row in table]


def _verdict(expected: str | None, row: Row) -> str | None:
    if expected is None or row.gain is None or row.p is None:
        return None
    found = "same" if row.p >= CERTAIN else "better" if row.gain > 0 else "worse"
    if found == expected:
        return "agrees"
    return "open" if found == "same" else "disagrees"


def _by_point(results: Sequence[Result], data: str, order: dict[str, int]) -> dict[str, list[Result]]:
    grouped: dict[str, list[Result]] = {}
    for result in results:
        if result.data == data:
            grouped.setdefault(result.point, []).append(result)
    return dict(sorted(grouped.items(), key=lambda item: order[item[0]]))


def _table(baseline: str | None, data: str, grouped: dict[str, list[Result]]) -> list[Row]:
    values = {point: tuple(result.top1 for result in found) for point, found in grouped.items()}
    against = values.get(baseline) if baseline else None
    chances = _holm({p: welch(v, against) for p, v in values.items() if p != baseline}) if against else {}
    return [
        Row(
            data,
            point,
            len(found),
            values[point],
            fmean(values[point]),
            stdev(values[point]) if len(found) > 1 else None,
            fmean(values[point]) - fmean(against) if against and point != baseline else None,
            chances.get(point),
            found[0].params,
            found[0].macs,
        )
        for point, found in grouped.items()
    ]


def welch(one: Sequence[float], other: Sequence[float]) -> float | None:
    """The two-sided probability that means differ as much by chance, spreads unequal; None where one has no spread.

    Two sets without any spread either agree (1) or do not (0).
    """
    if len(one) < 2 or len(other) < 2:
        return None
    if stdev(one) == stdev(other) == 0:
        return float(fmean(one) == fmean(other))
    from scipy.stats import ttest_ind_from_stats

    moments = [number for values in (one, other) for number in (fmean(values), stdev(values), len(values))]
    return float(ttest_ind_from_stats(*moments, equal_var=False).pvalue)


def _holm(chances: dict[str, float | None]) -> dict[str, float]:
    """Each probability times the number of those not yet accepted, from the smallest up; never falling, at most 1."""
    known = sorted((p, point) for point, p in chances.items() if p is not None and not math.isnan(p))
    corrected, least = {}, 0.0
    for rank, (p, point) in enumerate(known):
        least = max(least, min(1.0, p * (len(known) - rank)))
        corrected[point] = least
    return corrected
