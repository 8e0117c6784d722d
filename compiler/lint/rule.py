"""What a rule is: one file under ``rules/``, whose docstring is its documentation.

The file ``rules/mx203_does_not_divide.py`` is the rule MX203. Its docstring has a first line that says what is wrong,
and the sections What, Why and Example (with ``Bad::`` and ``Good::``). It may define

- ``severity``: ``"error"`` if left out;
- ``safe = True``: its repairs keep the meaning;
- ``check(file)``: yields a Problem for every finding. Rules for what the compiler itself finds have none;
- ``repair(problem, file)``: a Fix, or None. Without it, what stands in ``problem.nearest`` is offered;
- ``repairs = True``: without a ``repair`` of its own, its problems say what is nearest.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ..edits import Edit
from ..errors import Problem
from ..suggest import did_you_mean
from .finding import Fix, Severity

if TYPE_CHECKING:
    from .file import File

Check: TypeAlias = "Callable[[File], Iterable[Problem]]"
Repair: TypeAlias = "Callable[[Problem, File], Fix | None]"
Clarify: TypeAlias = "Callable[[Problem, Fix | None], Problem]"

FAMILIES = {
    "MX0": "document",
    "MX1": "schema and notation",
    "MX2": "shape",
    "MX3": "cost",
    "MX4": "published figures",
    "MX5": "style",
    "MX6": "portability",
    "MX7": "safety",
}


@dataclass(frozen=True)
class Rule:
    """A code with its documentation, and what it does."""

    code: str
    name: str
    severity: Severity
    doc: str
    check: Check | None
    repair: Repair
    clarify: Clarify
    """The complaint said better, once its repair is known."""

    repairs: bool
    """Whether it can offer a repair, ``safe`` that it keeps the meaning."""
    safe: bool

    @property
    def title(self) -> str:
        return self.doc.partition("\n")[0].rstrip(".")

    @property
    def family(self) -> str:
        return FAMILIES[self.code[:3]]

    @cached_property
    def sections(self) -> dict[str, str]:
        """What, Why, Example and what else the docstring has, by title."""
        found: dict[str, list[str]] = {}
        title = ""
        for line in self.doc.split("\n")[1:]:
            if line and not line.startswith(" "):
                title = line.strip()
                found[title] = []
            elif title:
                found[title].append(line)
        return {name: cleandoc("\n" + "\n".join(lines)) for name, lines in found.items()}

    def example(self, kind: str) -> str:
        """The text under ``Bad::`` or ``Good::``; empty where there is none."""
        lines = self.sections.get("Example", "").split("\n")
        if f"{kind}::" not in lines:
            return ""
        taken: list[str] = []
        for line in lines[lines.index(f"{kind}::") + 1 :]:
            if line and not line.startswith(" "):
                break
            taken.append(line)
        return cleandoc("\n" + "\n".join(taken)) + "\n"


def nearest(problem: Problem, file: File) -> Fix | None:
    """The likeliest of the values that could stand at the place of the problem, in its place."""
    if not problem.nearest or problem.span is None or problem.span.line != problem.span.end_line:
        return None
    better = problem.nearest[0]
    what = f"write {better}" if better else "remove it"
    return Fix(what, (Edit(problem.span, better),))


@cache
def rules() -> dict[str, Rule]:
    """All rules by code, in order."""
    files = sorted((Path(__file__).parent / "rules").glob("mx*.py"))
    return {rule.code: rule for rule in map(_load, (file.stem for file in files))}


def _load(stem: str) -> Rule:
    module = importlib.import_module(f"{__package__}.rules.{stem}")
    code, _, name = stem.partition("_")
    return Rule(
        code.upper(),
        name.replace("_", "-"),
        getattr(module, "severity", "error"),
        cleandoc(module.__doc__ or ""),
        getattr(module, "check", None),
        getattr(module, "repair", nearest),
        getattr(module, "clarify", lambda problem, fix: problem),
        hasattr(module, "repair") or getattr(module, "repairs", False),
        getattr(module, "safe", False),
    )


def known(code: str) -> bool:
    """Whether a code, or the beginning of one, is some rule's."""
    return bool(code) and any(rule.startswith(code) for rule in rules())


def unknown_code(code: str) -> str:
    """What is wrong with a code, or the beginning of one, that no rule has; empty where one has it."""
    return "" if known(code) else f"no rule has a code {code!r} ({did_you_mean(code, rules())})"


@cache
def checks() -> tuple[Rule, ...]:
    """The rules that look for themselves."""
    return tuple(rule for rule in rules().values() if rule.check)
