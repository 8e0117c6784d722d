"""Repairs of whole files: the edits of all findings, until nothing is left to repair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..edits import Edit, apply, overlap
from .config import Config
from .engine import lint
from .finding import Finding, Fix

ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Fixed:
    """A text after its repairs, how many there were, and what is still to be found in it."""

    text: str
    applied: int
    findings: list[Finding]


def fix(text: str, source: str, config: Config, *, unsafe: bool = False) -> Fixed:
    """Make all repairs that can be made; unsafe ones, which guess what was meant, only if asked for."""
    applied, seen = 0, [text]
    findings = lint(text, source, config)
    for _ in range(ROUNDS):
        fixes = chosen(findings, unsafe=unsafe)
        better = apply(text, [edit for one in fixes for edit in one.edits])
        if better in seen:  # repairs that undo each other end at the same text wherever they begin
            last = min(seen[seen.index(better) :])
            findings = lint(last, source, config) if last != text else findings
            text = last
            break
        seen.append(better)
        text, applied = better, applied + len(fixes)
        findings = lint(text, source, config)
    return Fixed(text, applied, findings)


def chosen(findings: Iterable[Finding], *, unsafe: bool) -> list[Fix]:
    """The repairs that can be made in one round: those that do not touch the same characters, errors first."""
    fixes = [(one.severity != "error", one.fix) for one in findings if one.fix and (one.fix.safe or unsafe)]
    taken: list[Edit] = []
    chosen: list[Fix] = []
    for _, one in sorted(fixes, key=lambda pair: pair[0]):
        if one not in chosen and not any(overlap(edit, other) for edit in one.edits for other in taken):
            chosen.append(one)
            taken += one.edits
    return chosen
