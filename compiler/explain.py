"""What a code or a name means: from the docstring of the rule, or of the operator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc, getdoc
from sys import modules
from typing import Any

from pydantic.fields import FieldInfo

from .downsamplers import registry as downsamplers
from .errors import SpecError
from .families import registry as families
from .grid import Grid
from .heads import registry as heads
from .lint.rule import FAMILIES, Rule, rules
from .mixer import Mixer
from .mixers import registry as mixers
from .mlps import registry as mlps
from .norms import registry as norms
from .operator import Operator
from .registry import Registry
from .suggest import nearest, offer

REGISTRIES: tuple[Registry[Any], ...] = (mixers, families, mlps, norms, heads, downsamplers)
SHOWN_AT = Grid(14, 14, 256)
"""Where a mixer's traits are shown: stage 3 of a common backbone."""


def explain(name: str) -> str:
    """The page about a code (``MX203``) or an operator (``CADAsp``). Raises SpecError for anything else."""
    if name.upper() in rules():
        return rule_page(rules()[name.upper()])
    if named := [registry for registry in REGISTRIES if name.lower() in registry]:
        return "\n".join(operator_page(registry, registry[name.lower()]) for registry in named)
    near = nearest(name, rules()) or [known for registry in REGISTRIES for known in registry.near(name)]
    hint = offer(near, ()) or "a rule's code such as MX203, or an operator's name such as attention"
    raise SpecError.of("MX104", f"nothing is called {name!r}", hint)


def rule_page(rule: Rule) -> str:
    """One rule, as its docstring has it."""
    title = f"{rule.code} {rule.name}: {rule.title}"
    lines = [title, f"{rule.family}, {rule.severity}, repair: {_repair(rule) or 'none'}", ""]
    for title, text in rule.sections.items():
        lines += [title, *(f"    {line}".rstrip() for line in text.split("\n")), ""]
    return "\n".join(lines).rstrip() + "\n"


def operator_page(registry: Registry[Any], cls: type[Operator]) -> str:
    """One operator: its paper, its keys with defaults, its biases."""
    paper = " ".join((modules[cls.__module__].__doc__ or "").split())
    lines = [f"{cls.notation} ({registry.word})", "", paper, "", *cleandoc(getdoc(cls) or "").split("\n"), "", "Keys"]
    return "\n".join([*lines, *keys(cls), *_traits(cls)]).rstrip() + "\n"


def keys(cls: type[Operator]) -> list[str]:
    """A line for each key: the paper's letter, the full name, the default, what it is."""
    rows = [_key(name, field) for name, field in cls.model_fields.items()]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    return [f"    {row[0].ljust(widths[0])}  {row[1].ljust(widths[1])}  {row[2]}" for row in rows] or ["    none"]


def _key(name: str, field: FieldInfo) -> tuple[str, str, str]:
    title = f"{field.alias}, {name}" if field.alias else name
    if field.is_required():
        default = "required"
    elif field.default_factory is not None:
        default = "by the other keys"
    else:
        value = field.default
        default = "by the place" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return title, default, field.description or ""


def _traits(cls: type[Operator]) -> list[str]:
    """The inductive biases of a mixer at a common place, where its keys have defaults."""
    required = any(field.is_required() for field in cls.model_fields.values())
    if not issubclass(cls, Mixer) or required:
        return []
    traits = cls().settle(3, SHOWN_AT).traits(SHOWN_AT)
    names = type(traits).__dataclass_fields__
    width = max(map(len, names))
    rows = [f"    {name.ljust(width)}  {_word(getattr(traits, name))}" for name in names]
    return ["", f"Inductive biases on a {SHOWN_AT} map", *rows]


def _word(value: object) -> str:
    return "the whole map" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def markdown() -> str:
    """All rules as one page of the documentation."""
    lines = ["# Rules", "", "Written by `mixspec explain --all --markdown` from the docstrings of the rules.", ""]
    lines += ["| code | what | severity | repair |", "|---|---|---|---|"]
    lines += [f"| {_link(rule)} | {rule.title} | {rule.severity} | {_repair(rule)} |" for rule in rules().values()]
    for prefix, family in FAMILIES.items():
        lines += ["", f"## {prefix}xx: {family}"]
        lines += [line for rule in rules().values() if rule.code.startswith(prefix) for line in _section(rule)]
    return "\n".join(lines) + "\n"


def _repair(rule: Rule) -> str:
    return "safe" if rule.safe else "unsafe" if rule.repairs else ""


def _link(rule: Rule) -> str:
    anchor = re.sub(r"[^a-z0-9 -]", "", f"{rule.code} {rule.name}".lower()).replace(" ", "-")
    return f"[{rule.code}](#{anchor})"


def _section(rule: Rule) -> Iterator[str]:
    yield from ["", f"### {rule.code} {rule.name}", "", f"**{rule.title}.** {_line(rule.sections['What'])}"]
    yield from ["", f"{_line(rule.sections['Why'])}"]
    for kind in ("Bad", "Good"):
        if text := rule.example(kind).strip("\n"):
            yield from ["", f"{kind}:", "", "```yaml", *text.split("\n"), "```"]


def _line(text: str) -> str:
    return " ".join(text.split())
