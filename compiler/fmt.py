"""The usual way to write a spec: shortest notation, no loose white space. Comments and order stay.

Only the characters concerned are changed; the text is never printed anew from its values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from . import document as documents
from . import recipe, sweep
from .document import Document
from .edits import BOM, Edit, apply, bare, split_lines
from .errors import Path, Span
from .notation.grammar import Scalar
from .notation.printing import show_plan
from .parse import Spec, typed
from .per_block import PerBlock
from .per_stage import PerStage
from .recipe import is_recipe
from .registry import Registry
from .sweep import is_sweep

_ANCHOR = re.compile(r"&([^\s,{}\[\]]+)")
TRAILING, WINDOWS, NO_END, BLANK_END = (
    "spaces at the end of the line",
    "Windows line ends",
    "no line end",
    "blank lines at the end",
)


def format_text(text: str, source: str = "<string>") -> str:
    """The text as `mixspec fmt` writes it. Raises SpecError for a text that is no spec, recipe or sweep."""
    for _ in range(4):
        tidy = apply(text, _edits(documents.load(text, source), source))
        if tidy == text:
            break
        text = tidy
    return text


def _edits(document: Document, source: str) -> list[Edit]:
    """What has to change in a spec, or in a recipe or sweep, of which only white space is judged."""
    if is_sweep(document.data, source):
        sweep.typed(document)
    elif is_recipe(document.data, source):
        recipe.typed(document)
    else:
        return edits(typed(document))
    return [edit for _, group in layout(document) for edit in group]


def edits(spec: Spec) -> list[Edit]:
    """What has to change, from one look at the spec."""
    found = notation(spec.document, type(spec.family), len(spec.family.depths))
    words = [Edit(span, new) for _, span, new in found]
    if words:
        return words
    return [edit for _, group in layout(spec.document) for edit in group]


def notation(document: Document, family: type[BaseModel], stages: int) -> Iterator[tuple[Path, Span, str]]:
    """Every value that names operators and could be written shorter or better: its path, its place, its text."""
    data: Any = document.data
    if str(data.get("family")) != str(data.get("family")).lower():
        yield ("family",), document.locate(("family",)), str(data["family"]).lower()
    for name, field in family.model_fields.items():
        key = field.alias if field.alias and field.alias in data else name
        kinds = [one for one in field.metadata if isinstance(one, PerStage | PerBlock | Registry)]
        if key in data and kinds:
            for path, said, text in _texts(kinds[0], (key,), data[key], stages):
                if text is not None and text != said and (span := _place(document, path)):
                    yield path, span, document.plain(path, text)


def _texts(
    kind: PerStage[Any] | PerBlock[Any] | Registry[Any], path: Path, value: Any, stages: int
) -> Iterator[tuple[Path, object, str | None]]:
    """Every place in a field that names operators: its path, what stands there, and the notation for it."""
    if isinstance(kind, PerBlock):
        yield from (((*path, block), item, single(kind.registry, item)) for block, item in value.items())
    else:
        yield path, value, plan(kind, value, stages) if isinstance(kind, PerStage) else single(kind, value)


def plan(kind: PerStage[Any], value: object, stages: int) -> str | None:
    """Operators of all stages as the shortest notation that says no more and no less than ``value``."""
    return _plan_of_text(kind, value, stages) if isinstance(value, str) else _plan(kind, value, stages)


def _plan(kind: PerStage[Any], value: object, stages: int) -> str | None:
    told = [_told(kind.registry, item) for item in kind.spread(value, stages)]
    return show_plan([call for call in told if call]) if all(told) else None


_plan_of_text = lru_cache(maxsize=1024)(_plan)


def single(kind: Registry[Any], value: object) -> str | None:
    """One operator as notation."""
    told = _told(kind, value)
    return show_plan([told]) if told else None


def _told(registry: Registry[Any], item: object) -> tuple[str, Mapping[str, Scalar]] | None:
    """Name and parameters under the paper's letters, in the operator's order; None for what notation cannot say."""
    if isinstance(item, str):
        item = PerStage(registry).spread(item, 1)[0]
    if not isinstance(item, Mapping) or not isinstance(item.get("type"), str):
        return None
    cls = registry[item["type"]]
    params = {}
    for name, field in cls.model_fields.items():
        key = next((key for key in (field.alias, name) if key in item), None)
        if key is not None:
            if not isinstance(item[key], int | float | str | bool):
                return None
            params[field.alias or name] = item[key]
    return cls.notation, params


def _place(document: Document, path: Path) -> Span | None:
    """Where the notation for a value goes; None where a comment would be lost, or an anchor that is used elsewhere."""
    value: Any = document.data
    for step in path:
        value = value[step]
    if isinstance(value, str):
        span = document.token(path, 0, len(value))
        return span if span.line == span.end_line else None
    span = document.locate(path)
    lines = split_lines(document.text)
    line = bare(lines[span.line - 1])
    if span.line != span.end_line or "#" in line[: span.end_column]:
        return None
    start, end = span.column - 1, span.end_column - 1
    rest = [line[:start], line[end:], *lines[: span.line - 1], *lines[span.line :]]
    used = any(f"*{name}" in other for name in _ANCHOR.findall(line[start:end]) for other in rest)
    return None if used else span


def layout(document: Document) -> list[tuple[str, tuple[Edit, ...]]]:
    """Loose white space: what it is, and its removal. The inside of texts of several lines is left alone."""
    if _is_tidy(document.text):
        return []
    lines = split_lines(document.text.removeprefix(BOM))
    inside = {
        line for span in document.spans.values() if span.end_line > span.line for line in _text_lines(document, span)
    }
    found: list[tuple[str, tuple[Edit, ...]]] = [
        (TRAILING, (_cut(number, line),))
        for number, line in enumerate(lines, 1)
        if _loose(line) and number not in inside
    ]
    returns = [(number, line) for number, line in enumerate(lines, 1) if line.endswith("\r\n")]
    if returns:
        ends = (Edit(Span(number, len(bare(line)) + 1, number + 1, 1), "\n") for number, line in returns)
        found.append((WINDOWS, tuple(ends)))
    return found + _end(lines, inside)


def _is_tidy(text: str) -> bool:
    """Whether there is no loose white space at all, as in most texts; quick."""
    return not any(loose in text for loose in ("\r", " \n", "\t\n")) and text.rstrip() + "\n" == text


def _text_lines(document: Document, span: Span) -> range:
    """The lines a text of several lines takes; none for mappings and lists."""
    texts = [
        path for path, place in document.spans.items() if place == span and isinstance(_value(document, path), str)
    ]
    return range(span.line, span.end_line + 1) if texts else range(0)


def _value(document: Document, path: Path) -> object:
    value: Any = document.data
    for step in path:
        value = value[step]
    return value


def _loose(line: str) -> bool:
    return bare(line) != bare(line).rstrip(" \t")


def _cut(number: int, line: str) -> Edit:
    text = bare(line)
    return Edit(Span(number, len(text.rstrip(" \t")) + 1, number, len(text) + 1), "")


def _end(lines: list[str], inside: set[int]) -> list[tuple[str, tuple[Edit, ...]]]:
    """The file ends with one line end."""
    count = len(lines) - (lines[-1] == "")
    last = lines[count - 1]
    if last == bare(last):
        place = Span(count, len(last) + 1, count, len(last) + 1)
        return [(NO_END, (Edit(place, "\n"),))]
    said = max((number for number, line in enumerate(lines, 1) if line.strip()), default=1)
    if said < count and said not in inside:
        return [(BLANK_END, (Edit(Span(said + 1, 1, count + 1, 1), ""),))]
    return []
