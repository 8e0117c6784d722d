"""How a network is trained, as data. Fields are named as timm names them; every one of them does something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError, model_validator
from pydantic.functional_validators import AfterValidator
from pydantic_core import InitErrorDetails

from . import document
from .catalogue import RECIPES, Shelf
from .checked import changed, problems
from .complaints import NAME, UNKNOWN_KEY, UNKNOWN_NAME, WRONG_VALUE, together, wrong
from .document import Document
from .errors import Problem, SpecError
from .suggest import did_you_mean, divisors, nearest

SHIPPED = Shelf(RECIPES, "recipe", unknown="MX811")
names, find = SHIPPED.names, SHIPPED.find

# fmt: off
OPTIMISERS = (
    "adabelief", "adadelta", "adafactor", "adafactorbv", "adafactorbvc", "adagrad", "adam", "adamax", "adamc", "adamp",
    "adamuon", "adamw", "adamwlegacy", "adan", "adanw", "adopt", "adoptc", "adoptw", "cadafactor", "cadafactorbv",
    "cadafactorbvc", "cadamc", "cadamp", "cadamw", "cadan", "cadanw", "cadopt", "cadoptc", "cadoptw", "clamb", "clambw",
    "claprop", "clion", "clionc", "cmars", "cnadamc", "cnadamw", "crmsproptf", "csgdc", "csgdp", "csgdw", "kron",
    "kronc", "kronw", "lamb", "lambc", "lambcd", "lambcw", "lambw", "laprop", "lapropc", "larc", "lars", "lion",
    "lionc", "madgrad", "madgradw", "mars", "momentum", "muon", "nadam", "nadamc", "nadamlegacy", "nadamuon", "nadamw",
    "nesterov", "nesterovw", "nlarc", "nlars", "nmuon", "novograd", "novogradc", "novogradw", "radabelief", "radam",
    "radamlegacy", "radamw", "rmsprop", "rmsproptf", "rmsproptfc", "rmsproptfw", "sgd", "sgdc", "sgdp", "sgdw",
)
# fmt: on
"""timm's optimisers that need gradients alone: no second derivatives, no other library, no particular device."""


def _known(name: str) -> str:
    if name not in OPTIMISERS:
        hint = did_you_mean(name, OPTIMISERS)
        raise wrong(UNKNOWN_NAME, f"opt cannot be {name!r}", hint, nearest=nearest(name, OPTIMISERS))
    return name


Optimiser = Annotated[str, AfterValidator(_known)]
NotNegative = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Factor = Annotated[float, Field(gt=0, le=1)]
Epochs = Annotated[int, Field(ge=0)]
Span = tuple[PositiveFloat, PositiveFloat]
Policy = Annotated[str, Field(pattern=r"^(ta_wide|(rand|augmix|original|originalr|v0|v0r|3a)(-[a-z]+[0-9.]+)*)$")]


class Recipe(BaseModel):
    """Optimiser, schedule, regularisation and augmentation of one training."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    name: Annotated[str, Field(pattern=NAME)] = Field(description="the recipe's name, lower case")
    description: str = Field("", description="one sentence")
    source: str = Field("", description="paper and table, for a published recipe")

    # length
    epochs: PositiveInt = Field(description="passes over the training images, warm-up included")
    cooldown_epochs: Epochs = Field(0, description="further epochs at the last learning rate")
    batch_size: PositiveInt = Field(description="images of one update, over all processes and accumulation steps")
    grad_accum_steps: PositiveInt = Field(1, description="parts that a process works through one by one for an update")

    # optimiser
    opt: Optimiser = Field("adamw", description="optimiser, by timm's name; sgd has Nesterov's momentum")
    lr: PositiveFloat | None = Field(None, description="highest learning rate")
    lr_base: PositiveFloat | None = Field(None, description="instead of lr: the rate for lr_base_size images an update")
    lr_base_size: PositiveInt = Field(256, description="batch size that lr_base is meant for")
    lr_base_scale: Literal["linear", "sqrt"] = Field("linear", description="how the rate grows with the batch size")
    weight_decay: NotNegative = Field(0.0, description="of all weights but those that no_decay spares")
    no_decay: Literal["vectors", "norms", "hints", "nothing"] = Field(
        "vectors",
        description="what weight decay spares: vectors (biases, norms, scales) or norms, and what layers ask for; "
        "only such hints; or nothing",
    )
    momentum: Share = Field(0.9, description="for the optimisers that have it")
    opt_betas: tuple[Share, ...] | None = Field(None, description="the optimiser's own if left out")
    opt_eps: PositiveFloat | None = Field(None, description="the optimiser's own if left out")
    layer_decay: Factor | None = Field(None, description="factor on the learning rate from each layer to the one below")
    clip_grad: PositiveFloat | None = Field(None, description="limit of the gradient; clip_mode says of what")
    clip_mode: Literal["norm", "value", "agc"] = Field(
        "norm", description="norm of the whole, every value, or adaptive by the norms of the weights"
    )
    max_skipped: Epochs = Field(10, description="updates in a row that may be left out for a loss that is nan or inf")

    # schedule
    sched: Literal["cosine", "poly", "step", "multistep", "wsd", "constant"] = Field(
        "cosine", description="learning rate after warm-up; wsd: warm-up, stable, decay"
    )
    sched_on_updates: bool = Field(True, description="a new learning rate for every update, else for every epoch")
    min_lr: NotNegative = Field(0.0, description="where cosine, poly and wsd end")
    warmup_epochs: Epochs = Field(0, description="epochs of linear rise")
    warmup_lr: NotNegative = Field(1e-6, description="where the rise starts")
    warmup_prefix: bool = Field(False, description="the schedule begins after the warm-up, not beneath it")
    decay_epochs: PositiveFloat | None = Field(
        None, description="step: epochs between two steps (30); wsd: length of the decay, or its share below 1 (0.2)"
    )
    decay_milestones: tuple[PositiveInt, ...] = Field((), description="multistep: epochs with a step")
    decay_rate: PositiveFloat = Field(0.1, description="step, multistep: factor of a step; poly: power")
    decay_fn: Literal["linear", "cosine", "1-sqrt"] = Field("1-sqrt", description="wsd: form of the decay")

    # loss and regularisation
    bce_loss: bool = Field(False, description="binary cross-entropy per class instead of cross-entropy")
    smoothing: Share = Field(0.0, description="label smoothing")
    mixup: NotNegative = Field(0.0, description="alpha of mixup, 0 for none")
    cutmix: NotNegative = Field(0.0, description="alpha of cutmix, 0 for none")
    mixup_prob: Probability = Field(1.0, description="probability that a batch is mixed")
    mixup_switch_prob: Probability = Field(0.5, description="probability of cutmix where both are wanted")
    mixup_mode: Literal["batch", "pair", "elem"] = Field("batch", description="what is mixed alike")
    mixup_off_epoch: Epochs = Field(0, description="epochs after which nothing is mixed; 0 for never")
    drop_path: Share | None = Field(None, description="stochastic depth of the last block; the spec's if left out")
    drop: Share | None = Field(None, description="dropout before the classifier; the spec's if left out")

    # images
    train_size: PositiveInt | None = Field(None, description="side of the training images; the spec's if left out")
    train_crop_mode: Literal["rrc", "rkrc", "rkrr", "pad"] = Field(
        "rrc", description="random resized crop, two that keep the aspect, or pad: shifted by up to crop_padding"
    )
    crop_padding: PositiveInt = Field(4, description="train_crop_mode pad: pixels added on every side")
    scale: Span | None = Field(None, description="area of a random crop as shares of the image; the whole if left out")
    ratio: Span | None = Field(None, description="aspect of a random crop; 3/4 to 4/3 if left out")
    train_interpolation: Literal["bilinear", "bicubic", "random"] = Field("bilinear", description="of the crops")
    interpolation: Literal["bilinear", "bicubic"] = Field("bilinear", description="of images to be judged")
    crop_pct: Factor = Field(1.0, description="centre crop of images to be judged, share of the resized side")
    crop_mode: Literal["center", "squash", "border"] = Field("center", description="how those become square")
    degrees: Annotated[float, Field(ge=0, le=180)] = Field(0.0, description="random rotation up to this angle")
    translate: Share = Field(0.0, description="random shift up to this share of the image's side")
    zoom: Span = Field((1.0, 1.0), description="random zoom between these factors")
    hflip: Probability = Field(0.0, description="probability of a horizontal flip")
    vflip: Probability = Field(0.0, description="probability of a vertical flip")
    color_jitter: NotNegative = Field(0.0, description="brightness, contrast, saturation; none where aa is given")
    aa: Policy | None = Field(
        None,
        description="timm's notation: rand-m9-mstd0.5-inc1, original, augmix-m3-w3; or ta_wide (TrivialAugment)",
    )
    reprob: Probability = Field(0.0, description="probability of random erasing")
    remode: Literal["const", "rand", "pixel"] = Field("pixel", description="erase to black, one colour, or noise")
    recount: PositiveInt = Field(1, description="erased patches")
    aug_repeats: Epochs = Field(0, description="copies of an image in one epoch, which stays as long; 0 for one")
    max_bad_images: Epochs = Field(100, description="images that may be unreadable before training stops")

    # running mean of the weights
    model_ema: bool = Field(False, description="evaluate and keep the running mean of the weights")
    model_ema_decay: Share = Field(0.999, description="of the mean, after its warm-up")
    model_ema_warmup: bool = Field(True, description="the decay grows from 0")
    model_ema_every: PositiveInt = Field(1, description="updates between two steps of the mean")
    model_ema_start: Epochs = Field(0, description="epochs through which the mean is the weights themselves")

    # other weights
    init: str | None = Field(None, description="a weights file, or a name of the zoo, to start from")
    init_resample: Literal["coverage", "official"] = Field("coverage", description="what becomes of filters' windows")
    teacher: str | None = Field(None, description="a weights file, or a name of the zoo, to learn from as well")
    teacher_weight: Probability = Field(0.5, description="share of the teacher in the loss")
    teacher_temperature: PositiveFloat = Field(1.0, description="softens both answers")

    # machine
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="of forward and backward; weights keep fp32")
    grad_checkpointing: Literal[False, True, "block", "mixer"] = Field(
        False, description="keep only the inputs of blocks (`true` or `block`) or of token mixers for backward"
    )
    sync_bn: bool = Field(False, description="batch norms see the batches of all processes")
    channels_last: bool = Field(False, description="memory format of images and weights")
    compile: bool = Field(False, description="torch.compile the network")

    @property
    def mixes(self) -> bool:
        """Whether images of a batch are mixed."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def passes(self) -> int:
        """Epochs in all, cool-down included."""
        return self.epochs + self.cooldown_epochs

    @property
    def peak(self) -> float:
        """The highest learning rate, for this batch size."""
        if self.lr is not None:
            return self.lr
        assert self.lr_base is not None, "the validator has seen one of the two"
        ratio = self.batch_size / self.lr_base_size
        return self.lr_base * (ratio if self.lr_base_scale == "linear" else ratio**0.5)

    def lasting(self, epochs: int) -> Recipe:
        """The same recipe over another number of epochs, all its lengths in proportion. Raises SpecError."""

        def scaled(length: int) -> int:
            return length * epochs // self.epochs

        decay = self.decay_epochs if self.sched in ("step", "wsd") else None
        return changed(
            self,
            epochs=epochs,
            cooldown_epochs=scaled(self.cooldown_epochs),
            warmup_epochs=scaled(self.warmup_epochs),
            mixup_off_epoch=scaled(self.mixup_off_epoch),
            model_ema_start=scaled(self.model_ema_start),
            decay_epochs=max(decay * epochs / self.epochs, 1e-3) if decay and decay >= 1 else None,
            decay_milestones=tuple(max(1, scaled(epoch)) for epoch in self.decay_milestones),
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if contradictions := list(self._contradictions()):
            raise together("Recipe", contradictions)
        return self

    def _contradictions(self) -> Iterator[InitErrorDetails]:
        """Values that do not go together, each at the field that is likelier wrong."""
        if self.lr is None and self.lr_base is None:
            yield self._about((), "one of lr and lr_base must be given", "lr: 1e-3")
        if self.lr is not None and self.lr_base is not None:
            yield self._about("lr_base", "lr_base beside lr", "one of the two")
        if self.warmup_epochs >= self.epochs:
            yield self._about("warmup_epochs", "warmup_epochs must be fewer than epochs", f"epochs: {self.epochs}")
        if self.sched == "multistep" and not self.decay_milestones:
            yield self._about("sched", "multistep needs decay_milestones", "decay_milestones: [30, 60, 90]")
        if self.batch_size % self.grad_accum_steps:
            near = [str(number) for number in divisors(self.batch_size, self.grad_accum_steps)]
            what, hint = "grad_accum_steps must divide batch_size", f"nearest: {', '.join(near)}"
            yield self._about("grad_accum_steps", what, hint, nearest=near)
        for name in ("scale", "ratio", "zoom"):
            if (span := getattr(self, name)) and span[0] > span[1]:
                better = f"[{span[1]}, {span[0]}]"
                yield self._about(name, f"{name} must rise", f"{name}: {better}", nearest=[better])

    @staticmethod
    def _about(field: str | tuple[()], what: str, hint: str, *, nearest: Iterable[str] = ()) -> InitErrorDetails:
        loc = (field,) if isinstance(field, str) else ()
        return InitErrorDetails(type=wrong(WRONG_VALUE, what, hint, nearest=nearest), loc=loc, input=None)

    def told(self) -> dict[str, Any]:
        """Every field that is not at its default, as plain values."""
        return self.model_dump(mode="json", exclude_defaults=True)


def read(name_or_path: str | Path) -> Recipe:
    """The recipe of that name, or in that file. Raises SpecError with every complaint, by line and column."""
    return typed(document.read(find(str(name_or_path))))


def typed(doc: Document) -> Recipe:
    """The document as a recipe. Raises SpecError."""
    if not isinstance(doc.data, dict):
        what = "a recipe is a mapping"
        raise SpecError(Problem(WRONG_VALUE, what, "it begins with `name: ...`", (), doc.locate(()), doc.source))
    try:
        return Recipe.model_validate(plain(doc.data))
    except ValidationError as error:
        raise SpecError(*(_located(doc, problem) for problem in problems(error, Recipe))) from None


def plain(data: dict[str, Any]) -> dict[str, Any]:
    """Values of a document or of :meth:`Recipe.told` with the tuples that a recipe has where they have lists."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


def is_recipe(data: object, source: str) -> bool:
    """Whether a document is meant as a recipe: by what it says, or by the folder it lies in."""
    if isinstance(data, dict) and ("family" in data or "sweep" in data):
        return False
    says = isinstance(data, dict) and "epochs" in data and "batch_size" in data
    return says or Path(source).parent.name == RECIPES.name


def _located(doc: Document, problem: Problem) -> Problem:
    place = doc.locate_key if problem.code == UNKNOWN_KEY else doc.locate
    return problem.at(doc.source, place(problem.where))
