"""From text to a typed spec: YAML, then notation, then fields; every complaint of a file in one run."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from . import document
from .complaints import MISSING_KEY, MOST, UNKNOWN_KEY, UNKNOWN_NAME, WRONG_VALUE, known_keys, meant, reword, together
from .document import Document
from .errors import Path, Problem, Span, SpecError
from .families import registry as families
from .family import Family
from .positions import locate
from .spec import About
from .suggest import did_you_mean, nearest, offer


@dataclass(frozen=True)
class Spec:
    """What a file says, typed, with the document it stands in."""

    about: About
    family: Family
    document: Document

    def problem(self, problem: Problem, same: Mapping[str, str] | None = None) -> Problem:
        """The complaint with its place in the file; ``same`` maps field names to the paper's letters."""
        said = self.document.data
        letters = same or {}
        first = [str(key) for key in problem.where[:1]]
        known = isinstance(said, dict) and any(key in said or letters.get(key) in said for key in first)
        image = isinstance(said, dict) and "image" in said and "image" in problem.what
        where = problem.where if known else ("image",) if image else ("family",)
        span = locate(self.document, where, stages=len(self.family.depths), same=letters)
        return problem.at(self.document.source, span)


def read(path: pathlib.Path) -> Spec:
    """The spec in a file. Raises SpecError."""
    return typed(document.read(path))


def parse(text: str | bytes, source: str = "<string>") -> Spec:
    """The spec in a text. Raises SpecError with everything that is wrong with it."""
    return typed(document.load(text, source))


def typed(doc: Document, data: object = None) -> Spec:
    """The document as a spec; with ``data``, as if it held that instead. Raises SpecError."""
    data = _tuples(doc.data if data is None else data)
    if not isinstance(data, dict):
        raise SpecError(
            Problem(WRONG_VALUE, "a spec is a mapping", "it begins with `name: ...`", (), doc.locate(()), doc.source)
        )
    cls = _family(data.get("family"))
    about, architecture = _split(data, cls)
    findings: list[ErrorDetails] = []
    made: list[BaseModel | None] = []
    for model, fields in ((About, about), (cls, architecture)):
        made.append(_validated(model, fields, findings) if model else None)
    stages = stage_count(data, cls) if findings else 0
    problems = [_problem(doc, finding, data, cls, stages) for finding in findings]
    if not cls and isinstance(data.get("family"), str):
        problems.append(_unknown_family(doc, str(data["family"])))
    if "family" not in data:
        problems += _misspelt(doc, data)
    if problems:
        raise SpecError(*tidy(problems))
    return Spec(cast(About, made[0]), cast(Family, made[1]), doc)


def _tuples(value: object) -> Any:
    """Lists as tuples: a spec's values are frozen."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value


def _family(name: object) -> type[Family] | None:
    try:
        return families[name] if isinstance(name, str) else None
    except KeyError:
        return None


def _split(data: dict[str, Any], cls: type[Family] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The keys about the network, and those of its architecture. Without a family the latter cannot be judged."""
    own = About.model_fields
    about = {key: value for key, value in data.items() if key in own}
    return about, {key: value for key, value in data.items() if key not in own} if cls else {}


def _validated(model: type[BaseModel], fields: dict[str, Any], findings: list[ErrorDetails]) -> BaseModel | None:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        findings += together(model.__name__, reword(error, model)).errors(include_url=False)
        return None


def _problem(
    doc: Document, finding: ErrorDetails, data: dict[str, Any], cls: type[Family] | None, stages: int
) -> Problem:
    said = finding["ctx"]
    path: Path = finding["loc"]
    hint, better = said["hint"], tuple(said.get("nearest", ()))
    if said["code"] == UNKNOWN_KEY and len(path) == 1:
        known = {*known_keys(About), *(known_keys(cls) if cls else ())} - {*data}
        better = meant(str(path[0]), known)
        hint = offer(better, known)
    if said["code"] == MISSING_KEY:
        return Problem(said["code"], said["what"], hint, path, _opening(doc, path[:-1]), doc.source)
    span = locate(
        doc,
        path,
        stages=stages,
        key=said.get("key", False),
        operator=said.get("operator", False),
        extent=(said["offset"], said["length"]) if "offset" in said else None,
    )
    return Problem(said["code"], said["what"], hint, path, span, doc.source, nearest=better)


def stage_count(data: Mapping[str, Any], cls: type[Family] | None) -> int:
    """How many stages a spec with mistakes in it has; four where that cannot be told."""
    depths = data.get("depths")
    if isinstance(depths, tuple | list):
        return len(depths)
    fields = {name for name, field in cls.model_fields.items() if field.alias is None} if cls else set()
    kept = {key: value for key, value in data.items() if key in ("size", "depth", "variant") and key in fields}
    try:
        return len(cls.model_validate({**kept, "mixers": "identity"}).depths) or 4 if cls and "mixers" in fields else 4
    except ValidationError:
        return 4


def family_of(data: Mapping[str, Any]) -> type[Family] | None:
    """The family that a spec names, None if there is none of that name."""
    return _family(data.get("family"))


def _opening(doc: Document, path: Path) -> Span:
    """The first key of the mapping at ``path``, which stands for what the mapping lacks."""
    inside = [span for place, span in doc.keys.items() if place[:-1] == path]
    return min(inside, default=doc.locate(path))


def _misspelt(doc: Document, data: dict[str, Any]) -> list[Problem]:
    """Keys that are near to one which every spec may have. Without a family no other key can be judged."""
    known = known_keys(About)
    lacking = [name for name in known if name not in data]
    near = {key: nearest(key, lacking) for key in [*data][:MOST] if key not in known}
    return [_unknown_key(doc, key, did_you_mean(key, names), tuple(names)) for key, names in near.items() if names]


def _unknown_key(doc: Document, key: str, hint: str, better: tuple[str, ...]) -> Problem:
    what, span = f"unknown key {key!r}", doc.locate_key((key,))
    return Problem(UNKNOWN_KEY, what, hint, (key,), span, doc.source, nearest=better)


def _unknown_family(doc: Document, name: str) -> Problem:
    what, better = f"unknown family {name!r}", tuple(families.near(name))
    hint, span = offer(better, families), doc.locate(("family",))
    return Problem(UNKNOWN_NAME, what, hint, ("family",), span, doc.source, nearest=better)


def tidy(problems: Iterable[Problem]) -> list[Problem]:
    """Each complaint once, in the order of the text."""
    unique: dict[object, Problem] = {}
    for problem in problems:
        unique.setdefault((problem.span, problem.code, problem.what), problem)
    return sorted(unique.values(), key=lambda problem: (problem.span is None, problem.span, problem.code))
