"""Which weights there are: one file ``zoo/entries/NAME.yaml`` for each, read without torch.

An entry says where weights lie, whose layout they have, under which licence they come, and how accurate they are; every
accuracy says who found it out. Weights of ours lie in ``zoo/weights/`` and their entries are made by ``zoo.make``;
foreign ones are named by their repository on the Hub.
"""

from __future__ import annotations

import statistics
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from ..compiler import document
from ..compiler.catalogue import load, names
from ..compiler.checked import problems
from ..compiler.complaints import UNKNOWN_KEY, WRONG_VALUE, wrong
from ..compiler.document import Document
from ..compiler.errors import Problem, SpecError
from ..compiler.resolve import Network, resolve
from ..compiler.suggest import did_you_mean, nearest
from .ports import LAYOUTS

FOLDER = Path(__file__).parent / "entries"
WEIGHTS = Path(__file__).parent / "weights"
"""Where the weights lie that ship. The folder holds data; the module ``zoo.weights`` stands beside it."""

UNKNOWN_ENTRY, NONE_PUBLISHED = "MX831", "MX806"
HUB = "hf://"

NAME = r"^[a-z0-9][a-z0-9_-]*(\.[a-z0-9_]+)?$"
SOURCE = rf"^([a-z0-9][a-z0-9_-]*\.safetensors|{HUB}[\w.-]+/[\w.-]+/[\w./-]+\.(safetensors|bin|pth))$"
Percent = Annotated[float, Field(ge=0, le=100)]
Three = tuple[float, float, float]


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Metric(_Plain):
    """One figure, and who says so."""

    name: Literal["top1", "top5", "loss"] = Field(description="top1 and top5 in percent, loss in nats")
    value: Annotated[float, Field(ge=0)] = Field(description="the figure")
    data: str = Field(description="images and part of them: `digits, test`, `ImageNet-1k, validation`")
    provenance: Literal["measured", "printed", "reported"] = Field(
        description="measured here, printed in a paper, or reported by the weights' own page"
    )
    source: str = Field("", description="paper and table, or page; none for what was measured here")

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if (self.provenance == "measured") == bool(self.source):
            what = f"source of a {self.provenance} figure: {self.source or 'missing'}"
            raise wrong(WRONG_VALUE, what, "paper and table, or page; none for what was measured here")
        return self


class Run(_Plain):
    """One training of the same recipe: its seed, and accuracies of the best epoch's weights, percent."""

    seed: Annotated[int, Field(ge=0)] = Field(description="start of all random numbers")
    epoch: PositiveInt = Field(description="the epoch that was best on the validation images")
    val_top1: Percent = Field(description="accuracy on the validation images, by which the epoch was chosen")
    test_top1: Percent = Field(description="accuracy on the test images, which nothing was chosen by")
    test_loss: Annotated[float, Field(ge=0)] = Field(description="mean cross-entropy on the test images, nats")


class Preprocess(_Plain):
    """How images become the input, beside their size, which the spec has."""

    mean: Three = Field(description="of the channels, between 0 and 1")
    std: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = Field(description="of the channels")
    interpolation: Literal["bilinear", "bicubic"] = Field(description="how images are resized")
    crop_pct: Annotated[float, Field(gt=0, le=1)] = Field(description="share of the resized side that is kept")


class Entry(_Plain):
    """Weights of one network, and what is known of them."""

    name: Annotated[str, Field(pattern=NAME)] = Field(description="the file's name; foreign weights keep theirs")
    spec: str = Field(description="the shipped spec of the network")
    source: Annotated[str, Field(pattern=SOURCE)] = Field(
        description="a file of zoo/weights, or one on the Hub: `hf://org/name/model.safetensors`"
    )
    revision: Annotated[str, Field(pattern=r"^[\w./-]+$")] | None = Field(
        None, description="commit, tag or branch on the Hub; the newest if left out"
    )
    layout: Literal[LAYOUTS] | None = Field(  # type: ignore[valid-type]
        None, description="whose names the tensors have; ours if left out"
    )
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="of the file, where it is known"
    )
    size: PositiveInt | None = Field(None, description="of the file in bytes, where it is known")
    licence: str = Field(description="of the weights, by its SPDX name")
    note: str = Field("", description="anything a user should know")
    default: bool = Field(True, description="whether these are the weights that the spec's name alone stands for")
    classes: PositiveInt = Field(1000, description="number of outputs")
    preprocess: Preprocess | None = Field(None, description="of foreign weights; ours carry it in the file")
    metrics: tuple[Metric, ...] = Field((), description="accuracies")
    data: str | None = Field(None, description="what the weights were trained on here")
    recipe: str | None = Field(None, description="the recipe they were trained by here")
    runs: tuple[Run, ...] = Field((), description="trainings with other seeds; the first is the one that ships")

    @property
    def shipped(self) -> bool:
        """Whether the weights lie in this package."""
        return not self.source.startswith(HUB)

    @property
    def file(self) -> Path:
        """Where shipped weights lie."""
        return WEIGHTS / self.source

    @property
    def url(self) -> str:
        """The Hub file with its revision: ``hf://org/name@revision/file``."""
        owner, name, path = self.source.removeprefix(HUB).split("/", 2)
        return f"{HUB}{owner}/{name}{f'@{self.revision}' if self.revision else ''}/{path}"

    def network(self) -> Network:
        """The network the weights are for. Raises SpecError."""
        return resolve(load(self.spec))

    def metric(self, name: str) -> Metric | None:
        """The first figure of that name."""
        return next((metric for metric in self.metrics if metric.name == name), None)

    def spread(self) -> tuple[float, float]:
        """Mean and sample standard deviation of the runs' test accuracies, percent; zeros without runs."""
        scores = [run.test_top1 for run in self.runs]
        return (statistics.fmean(scores) if scores else 0.0, statistics.stdev(scores) if len(scores) > 1 else 0.0)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.shipped and not (self.sha256 and self.size and self.data and self.recipe and self.runs):
            what = f"{self.source} ships: its entry is incomplete"
            raise wrong(WRONG_VALUE, what, "sha256, size, data, recipe, runs")
        if self.shipped and (self.revision or self.layout):
            raise wrong(WRONG_VALUE, f"{self.source} ships: it has no revision and our layout", "leave them out")
        return self


def typed(doc: Document) -> Entry:
    """The document as an entry. Raises SpecError with every complaint, by line and column."""
    if not isinstance(doc.data, dict):
        what = "an entry is a mapping"
        raise SpecError(Problem(WRONG_VALUE, what, "it begins with `name: ...`", (), doc.locate(()), doc.source))
    try:
        return Entry.model_validate(_tuples(doc.data))
    except ValidationError as error:
        raise SpecError(*(_located(doc, problem) for problem in problems(error, Entry))) from None


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _located(doc: Document, problem: Problem) -> Problem:
    place = doc.locate_key if problem.code == UNKNOWN_KEY else doc.locate
    return problem.at(doc.source, place(problem.where))


@cache
def every() -> tuple[Entry, ...]:
    """All entries, by name. Raises SpecError with every complaint about any of them."""
    found: list[Entry] = []
    complaints: list[Problem] = []
    for file in sorted(FOLDER.glob("*.yaml")):
        try:
            found.append(typed(document.read(file)))
        except SpecError as error:
            complaints += error.problems
    if complaints:
        raise SpecError(*complaints)
    return tuple(found)


def of(name: str) -> Entry:
    """The entry of that name, or that of the spec of that name. Raises SpecError where there is none."""
    for entry in every():
        if name == entry.name or (entry.default and entry.spec == name):
            return entry
    if name in names():
        raise SpecError.of(NONE_PUBLISHED, f"no published weights of {name}", "mixspec zoo list names all there are")
    known = {word for entry in every() for word in (entry.name, entry.spec)}
    hint = did_you_mean(name, known) if nearest(name, known) else "mixspec zoo list names all there are"
    raise SpecError.of(UNKNOWN_ENTRY, f"there are no weights {name!r}", hint)
