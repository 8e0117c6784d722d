"""Many trainings as data: which fields of a spec and a recipe vary, over which values and how many seeds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from . import catalogue, document
from . import recipe as recipes
from .catalogue import SWEEPS, Shelf
from .checked import problems
from .complaints import NAME, UNKNOWN_KEY, UNKNOWN_NAME, WRONG_VALUE
from .document import Document
from .errors import Path as Place
from .errors import Problem, SpecError
from .parse import typed as typed_spec
from .recipe import Recipe
from .resolve import Network, resolve
from .suggest import did_you_mean

SHIPPED = Shelf(SWEEPS, "sweep", unknown="MX841")
names, find = SHIPPED.names, SHIPPED.find
MOST = 1000
"""Points of one sweep."""
RECIPE, DATA, LABEL = "recipe.", "data", "label"

Values = Annotated[tuple[Any, ...], Field(min_length=1)]


class Sweep(BaseModel):
    """A spec and a recipe, and what varies in them.

    ``sweep`` is a mapping from fields to lists of values, of which every combination is a point; or a list of points,
    each a mapping from fields to values. ``recipe.lr`` is a field of the recipe, ``data`` the data set, any other name
    a key of the spec.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=NAME)] = Field(description="the sweep's name, lower case")
    claim: str = Field("", description="what the sweep tests, one sentence")
    source: str = Field("", description="who claims it: `CADA, arXiv:2210.17141v1, Table 6`")
    spec: str | dict[str, Any] = Field(description="a shipped spec, a path, or a spec written out")
    recipe: str = Field(description="a shipped recipe or a path")
    data: str | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        "digits", description="data sets, as `mixspec train --data` takes them; each is a table of its own"
    )
    sweep: dict[str, Values] | Annotated[tuple[dict[str, Any], ...], Field(min_length=1)] = Field(
        description="fields and their values, or a list of points"
    )
    seeds: PositiveInt | Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = Field(
        3, description="how many seeds, from 0, or which"
    )
    baseline: str | None = Field(None, description="the label of the point that others are compared with")
    expect: dict[str, Literal["better", "same", "worse"]] = Field(
        {}, description="what the claim says of points, by their labels, against the baseline"
    )

    @property
    def all_seeds(self) -> tuple[int, ...]:
        return tuple(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds

    @property
    def sets(self) -> tuple[str, ...]:
        """The data sets of points that do not name their own."""
        return (self.data,) if isinstance(self.data, str) else self.data


@dataclass(frozen=True)
class Point:
    """One choice of everything that varies, ready to be trained. ``data`` is None where the sweep's own are meant."""

    label: str
    network: Network
    recipe: Recipe
    data: str | None

    @property
    def slug(self) -> str:
        """The label as the name of a folder."""
        return slug(self.label)


@dataclass(frozen=True)
class Plan:
    """A sweep with its points, each resolved."""

    sweep: Sweep
    points: tuple[Point, ...]


def read(name_or_path: str | Path) -> Plan:
    """The sweep of that name, or in that file. Raises SpecError with every complaint, by line and column."""
    return typed(document.read(find(str(name_or_path))))


def typed(doc: Document) -> Plan:
    """The document as a sweep whose every point is a legal network and recipe. Raises SpecError."""
    if not isinstance(doc.data, dict):
        what = "a sweep is a mapping"
        raise SpecError(Problem(WRONG_VALUE, what, "it begins with `name: ...`", (), doc.locate(()), doc.source))
    try:
        sweep = Sweep.model_validate(_frozen(doc.data))
    except ValidationError as error:
        raise SpecError(*(_located(doc, problem) for problem in problems(error, Sweep))) from None
    return Plan(sweep, _points(sweep, doc))


def is_sweep(data: object, source: str) -> bool:
    """Whether a document is meant as a sweep: by what it says, or by the folder it lies in."""
    if isinstance(data, dict) and ("sweep" in data or "family" in data):
        return "sweep" in data
    return Path(source).parent.name == SWEEPS.name


def slug(text: str) -> str:
    """Any text as the name of a folder: letters, digits, dots and hyphens."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.") or "all"


def _points(sweep: Sweep, doc: Document) -> tuple[Point, ...]:
    base, found, complaints = _base(sweep, doc), [], []
    for place, label, changes in _choices(sweep, doc):
        try:
            found.append(_point(base, label, changes))
        except SpecError as error:
            complaints += [
                Problem(problem.code, f"{label}: {problem.what}", problem.hint, place, doc.locate(place), doc.source)
                for problem in error.problems
            ]
    labels = [point.label for point in found]
    for twice in sorted({label for label in labels if labels.count(label) > 1}):
        complaints.append(_complaint(doc, ("sweep",), WRONG_VALUE, f"two points are called {twice!r}", "give a label"))
    if not complaints:
        complaints += _unknown_labels(sweep, labels, doc)
    if complaints:
        raise SpecError(*complaints)
    return tuple(found)


def _unknown_labels(sweep: Sweep, labels: list[str], doc: Document) -> list[Problem]:
    """Complaints of labels in ``baseline`` and ``expect`` that no point has."""
    named: list[tuple[Place, str]] = [(("expect", label), label) for label in sweep.expect]
    if sweep.baseline is not None:
        named.insert(0, (("baseline",), sweep.baseline))
    elif sweep.expect:
        return [_complaint(doc, ("expect",), WRONG_VALUE, "nothing to compare with", "name a baseline")]
    return [
        Problem(UNKNOWN_NAME, f"there is no point {label!r}", did_you_mean(label, labels), place,
                doc.locate(place) if place[0] == "baseline" else doc.locate_key(place), doc.source)
        for place, label in named if label not in labels
    ]  # fmt: skip


@dataclass(frozen=True)
class _Base:
    """What every point starts from."""

    document: Document
    data: Mapping[str, Any]
    recipe: Recipe


def _base(sweep: Sweep, doc: Document) -> _Base:
    try:
        said = doc if isinstance(sweep.spec, dict) else document.read(catalogue.find(sweep.spec))
    except SpecError as error:
        raise SpecError(*(p.at(doc.source, doc.locate(("spec",))) for p in error.problems)) from None
    try:
        recipe = recipes.read(sweep.recipe)
    except SpecError as error:
        if any(problem.span for problem in error.problems):
            raise
        raise SpecError(*(p.at(doc.source, doc.locate(("recipe",))) for p in error.problems)) from None
    data = {"name": sweep.name, **sweep.spec} if isinstance(sweep.spec, dict) else said.data
    if not isinstance(data, dict):
        raise SpecError(_complaint(doc, ("spec",), WRONG_VALUE, "this is no spec", "a mapping with `family: ...`"))
    return _Base(said, data, recipe)


def _choices(sweep: Sweep, doc: Document) -> Iterator[tuple[Place, str, dict[str, Any]]]:
    """Every point: where it is written, its label, and what it changes."""
    if isinstance(sweep.sweep, tuple):
        for index, entry in enumerate(sweep.sweep):
            changes = {key: value for key, value in entry.items() if key != LABEL}
            yield ("sweep", index), str(entry.get(LABEL) or _label(changes)), changes
        return
    count = 1
    for values in sweep.sweep.values():
        count *= len(values)
    if count > MOST:
        raise SpecError(_complaint(doc, ("sweep",), WRONG_VALUE, f"{count:,} points", f"at most {MOST:,}"))
    for chosen in product(*(range(len(values)) for values in sweep.sweep.values())):
        changes = {key: values[i] for (key, values), i in zip(sweep.sweep.items(), chosen, strict=True)}
        varying = [(key, i) for (key, values), i in zip(sweep.sweep.items(), chosen, strict=True) if len(values) > 1]
        label = _label({key: changes[key] for key, _ in varying} or changes)
        yield ("sweep", *(varying[0] if len(varying) == 1 else ())), label, changes


def _label(changes: Mapping[str, Any]) -> str:
    """`CADAsp b=8` for words, which speak for themselves where they alone vary; `lr=0.01` for anything else."""
    said = [
        str(value)
        if isinstance(value, str) and (key == "mixers" or len(changes) == 1)
        else f"{key.removeprefix(RECIPE)}={_short(value)}"
        for key, value in changes.items()
    ]
    return ", ".join(said) or "as it is"


def _short(value: Any) -> str:
    return "(" + ",".join(map(_short, value)) + ")" if isinstance(value, tuple) else str(value)


def _point(base: _Base, label: str, changes: Mapping[str, Any]) -> Point:
    """Raises SpecError where the changed spec or recipe is wrong."""
    ours = {key: value for key, value in changes.items() if not key.startswith(RECIPE) and key != DATA}
    way = {key.removeprefix(RECIPE): value for key, value in changes.items() if key.startswith(RECIPE)}
    if unknown := [key for key in way if key not in Recipe.model_fields]:
        hint = did_you_mean(unknown[0], Recipe.model_fields)
        raise SpecError.of(UNKNOWN_KEY, f"a recipe has no field {unknown[0]!r}", hint)
    network = resolve(typed_spec(base.document, {**base.data, **ours}))
    try:
        recipe = Recipe.model_validate({**dict(base.recipe), **way})
    except ValidationError as error:
        raise SpecError(*problems(error, Recipe)) from None
    data = changes.get(DATA)
    if data is not None and not isinstance(data, str):
        raise SpecError.of(WRONG_VALUE, f"data cannot be {data!r}", "the name of a data set")
    return Point(label, network, recipe, data)


def _frozen(value: object) -> Any:
    """Lists as tuples: the values of a sweep are frozen."""
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value


def _located(doc: Document, problem: Problem) -> Problem:
    place = doc.locate_key if problem.code == UNKNOWN_KEY else doc.locate
    return problem.at(doc.source, place(problem.where))


def _complaint(doc: Document, where: Place, code: str, what: str, hint: str) -> Problem:
    return Problem(code, what, hint, where, doc.locate(where), doc.source)
