"""How a network is trained, as data. Fields are named as timm names them; every one of them does something."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator

from ...compiler import document
from ...compiler.catalogue import FOLDER
from ...compiler.complaints import UNKNOWN_KEY, WRONG_VALUE, wrong
from ...compiler.document import Document
from ...compiler.errors import Problem, SpecError
from ...compiler.suggest import did_you_mean, nearest
from ..checked import changed, problems

RECIPES = FOLDER / "recipes"
UNKNOWN_RECIPE = "MX811"

Share = Annotated[float, Field(ge=0, lt=1)]
Optimiser = Literal["sgd", "momentum", "adam", "adamw", "nadamw", "radam", "rmsprop", "lamb", "lars", "lion"]


class Recipe(BaseModel):
    """Optimiser, schedule, regularisation and augmentation of one training."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = Field(description="the recipe's name, lower case")
    description: str = Field("", description="one sentence")
    source: str = Field("", description="paper and table, for a published recipe")

    epochs: PositiveInt = Field(description="passes over the training images, warm-up included")
    batch_size: PositiveInt = Field(description="images of one update, over all processes")

    opt: Optimiser = Field("adamw", description="optimiser, by timm's name; sgd has Nesterov's momentum")
    lr: PositiveFloat = Field(description="highest learning rate")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.0, description="of all weights but biases, norms and scales")
    momentum: Share = Field(0.9, description="for the optimisers that have it")
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="factor on the learning rate from each layer to the one below"
    )
    clip_grad: PositiveFloat | None = Field(None, description="largest norm of the gradient")

    sched: Literal["cosine", "poly", "step", "constant"] = Field("cosine", description="learning rate after warm-up")
    min_lr: Annotated[float, Field(ge=0)] = Field(0.0, description="where cosine and poly end")
    warmup_epochs: Annotated[int, Field(ge=0)] = Field(0, description="epochs of linear rise")
    warmup_lr: Annotated[float, Field(ge=0)] = Field(1e-6, description="where the rise starts")
    decay_epochs: PositiveInt = Field(30, description="step: epochs between two steps")
    decay_rate: PositiveFloat = Field(0.1, description="step: factor of a step; poly: power")

    bce_loss: bool = Field(False, description="binary cross-entropy per class instead of cross-entropy")
    smoothing: Share = Field(0.0, description="label smoothing")
    mixup: Annotated[float, Field(ge=0)] = Field(0.0, description="alpha of mixup, 0 for none")
    cutmix: Annotated[float, Field(ge=0)] = Field(0.0, description="alpha of cutmix, 0 for none")
    drop_path: Share | None = Field(None, description="stochastic depth of the last block; the spec's if left out")
    drop: Share | None = Field(None, description="dropout before the classifier; the spec's if left out")

    degrees: Annotated[float, Field(ge=0, le=180)] = Field(0.0, description="random rotation up to this angle")
    translate: Share = Field(0.0, description="random shift up to this share of the image's side")
    scale: tuple[PositiveFloat, PositiveFloat] = Field((1.0, 1.0), description="random zoom between these factors")
    hflip: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="probability of a horizontal flip")
    aa: Annotated[str, Field(pattern=r"^rand(-[a-z]+[0-9.]+)*$")] | None = Field(
        None, description="RandAugment in timm's notation: rand-m7-n2-mstd0.5"
    )
    reprob: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="probability of random erasing")

    model_ema: bool = Field(False, description="evaluate and keep the running mean of the weights")
    model_ema_decay: Annotated[float, Field(gt=0, lt=1)] = Field(0.999, description="of the mean, after its warm-up")

    @property
    def mixes(self) -> bool:
        """Whether images of a batch are mixed."""
        return self.mixup > 0 or self.cutmix > 0

    def lasting(self, epochs: int) -> Recipe:
        """The same recipe over another number of epochs, warm-up in proportion. Raises SpecError."""
        return changed(self, epochs=epochs, warmup_epochs=self.warmup_epochs * epochs // self.epochs)

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise wrong(WRONG_VALUE, "warmup_epochs must be fewer than epochs", f"epochs: {self.epochs}")
        return self

    def told(self) -> dict[str, Any]:
        """Every field that is not at its default, as plain values."""
        return self.model_dump(mode="json", exclude_defaults=True)


def read(name_or_path: str | Path) -> Recipe:
    """The recipe of that name, or in that file. Raises SpecError with every complaint, by line and column."""
    return typed(document.read(find(str(name_or_path))))


def names() -> list[str]:
    """The recipes that ship."""
    return sorted(file.stem for file in RECIPES.glob("*.yaml"))


def find(name_or_path: str) -> Path:
    """The file of a shipped recipe or of a path; it is not opened. Raises SpecError for an unknown name."""
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path
    if name_or_path not in names():
        near = nearest(name_or_path, names()) or names()
        hint = did_you_mean(name_or_path, near)
        raise SpecError.of(UNKNOWN_RECIPE, f"there is no recipe {name_or_path!r}", hint)
    return RECIPES / f"{name_or_path}.yaml"


def typed(doc: Document) -> Recipe:
    """The document as a recipe. Raises SpecError."""
    if not isinstance(doc.data, dict):
        what = "a recipe is a mapping"
        raise SpecError(Problem(WRONG_VALUE, what, "it begins with `name: ...`", (), doc.locate(()), doc.source))
    data = {key: tuple(value) if isinstance(value, list) else value for key, value in doc.data.items()}
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise SpecError(*(_located(doc, problem) for problem in problems(error, Recipe))) from None


def _located(doc: Document, problem: Problem) -> Problem:
    place = doc.locate_key if problem.code == UNKNOWN_KEY else doc.locate
    return problem.at(doc.source, place(problem.where))
