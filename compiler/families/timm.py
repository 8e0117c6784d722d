"""Any model of timm by its name, with some of its modules exchanged for mixers: VOLO and Twins-SVT of "Demystifying
Local Vision Transformer", arXiv:2106.04263, Table 13, and the baselines of its Tables 2 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from ..complaints import WRONG_VALUE, together, under, wrong
from ..errors import Problem, SpecError
from ..family import Family
from ..grid import Grid
from ..init import Init
from ..layer import Layer, Modules, Parts, place, walk
from ..mixer import Mixer
from ..mixers import registry as known_mixers
from ..mixers.identity import IdentityMixer
from ..norms.batchnorm import BatchNorm
from ..notation.grammar import Scalar
from ..parts import Leaf
from ..suggest import nearest
from ._frames import Branch, LinearOrConv, conv_frame

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..foreign import Trace

Side = Annotated[int, Field(ge=1)]


_FILES = {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"}
_REFUSED = frozenset({*_FILES, "scriptable", "exportable", "no_jit", "num_classes", "in_chans", "device", "dtype"})
"""Arguments of timm.create_model that would read files, or that are keys of the spec."""


class _Mapping:
    """A pydantic field type: a mapping from text, kept as pairs so that it is frozen; ``make`` reads the values."""

    def __init__(
        self, make: Callable[[Any], Any], show: Callable[[Any], Any], item: Callable[[], dict[str, Any]]
    ) -> None:
        self.make, self.show, self.item = make, show, item

    def read(self, value: object) -> tuple[tuple[str, Any], ...]:
        """The pairs of a mapping, or pairs as they are. Raises pydantic errors."""
        pairs = tuple(value.items()) if isinstance(value, Mapping) else value
        if not isinstance(pairs, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            raise wrong(WRONG_VALUE, "a mapping is expected here", "KEY: VALUE, one to a line")
        found: list[tuple[str, Any]] = []
        complaints: list[InitErrorDetails] = []
        for key, item in pairs:
            try:
                found.append((str(key), self.make(item)))
            except (PydanticCustomError, ValidationError) as error:
                complaints += under(str(key), item, error)
        if complaints:
            raise together("mapping", complaints)
        return tuple(found)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        serializer = core_schema.plain_serializer_function_ser_schema(
            lambda pairs: {key: self.show(item) for key, item in pairs}
        )
        return core_schema.no_info_plain_validator_function(self.read, serialization=serializer)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return {"type": "object", "additionalProperties": self.item()}


def _option(value: object) -> Scalar:
    if isinstance(value, int | float | bool | str):
        return value
    raise wrong(WRONG_VALUE, f"{value!r} is no single value", "a number, true, false or text")


_MIXERS = _Mapping(known_mixers.make, lambda mixer: mixer.typed(), known_mixers.json_schema)
_OPTIONS = _Mapping(_option, lambda value: value, lambda: {"type": ["number", "boolean", "string"]})


class Timm(Family, Leaf):
    """A model that timm builds, kept whole: its own keys, its own forward, its own start.

    It is no tree of layers. What it costs is read off a run on the meta device, which loads torch and timm when it is
    asked for; a spec is parsed, resolved and checked without them, so that an unknown model shows when it is counted.
    """

    notation = "timm"
    init: ClassVar[Init] = LinearOrConv()
    depths: ClassVar[tuple[int, ...]] = ()  # type: ignore[misc]  # its stages are timm's affair
    mixers: ClassVar[tuple[Mixer, ...]] = ()  # type: ignore[misc]

    model: str = Field(description="timm's name of the model: `volo_d1_224`")
    options: Annotated[tuple[tuple[str, Scalar], ...], _OPTIONS] = Field(
        (), description="further arguments of timm.create_model: `{img_size: 384}`"
    )
    replace: Annotated[tuple[tuple[str, Mixer], ...], _MIXERS] = Field(
        (),
        description="modules to exchange, by path (`network.0.*.attn`), and the mixer of each; identity leaves one out",
    )
    block: Literal["bare", "conv"] = Field(
        "bare", description="bare: the mixer alone; conv: between two 1x1 convolutions, with norms and ReLUs"
    )
    built_for: tuple[Side, Side] | None = Field(
        None, description="image the mixers are settled for; the spec's own if left out"
    )

    def settle(self, stage: int, at: Grid) -> Self:
        return self.model_copy(update={"built_for": self.built_for or (at.h, at.w)})

    def check(self, at: Grid) -> Iterator[Problem]:
        if not self.model:
            yield Problem("MX103", "model is empty", "timm's name of the model: `volo_d1_224`", ("model",))
        for key in sorted(_REFUSED.intersection(dict(self.options))):
            hint = "a spec names no weights and no files; classes and channels are keys of their own"
            yield Problem("MX102", f"the option {key} cannot be given", hint, ("options", key))

    def parts(self, at: Grid) -> Parts:
        return {}

    def out(self, at: Grid) -> Grid:
        return Grid(1, 1, self.trace(at).shape[1])

    def params(self) -> int:
        return self.trace().params

    def params_trainable(self) -> int:
        return self.trace().params_trainable

    def macs(self, at: Grid) -> int:
        return self.trace(at).macs

    def kept(self, at: Grid) -> int:
        return self.trace(at).kept

    def tally(self, at: Grid) -> Mapping[str, int]:
        return self.trace(at).tally

    def trace(self, at: Grid | None = None) -> Trace:
        """What a run on the meta device shows, on the image it is built for if ``at`` is None. Raises SpecError."""
        height, width = (at.h, at.w) if at else self.built_for or (224, 224)
        return _trace(self, height, width)

    def module(self, at: Grid, children: Modules) -> nn.Module:
        """The model on the meta device, with modules exchanged. Raises SpecError."""
        import torch

        with torch.device("meta"):
            model = self.create()
        height, width = self.built_for or (at.h, at.w)
        x = torch.empty(1, self.in_chans, height, width, device="meta")
        for pattern, mixer in self.replace:
            for path in self._paths(model, pattern):
                model.set_submodule(path, self._exchanged(model.eval(), path, mixer, x))
        return model.train()

    def create(self) -> nn.Module:
        """The model as timm makes it. Raises SpecError."""
        import timm

        if not timm.is_model(self.model):
            near = nearest(self.model, timm.list_models(), most=3)
            raise SpecError.of("MX104", f"timm has no model {self.model!r}", ", ".join(near), ("model",))
        rates = {"drop_path_rate": self.drop_path, "drop_rate": self.head_dropout}
        options: dict[str, Any] = {**{key: rate for key, rate in rates.items() if rate}, **dict(self.options)}
        try:
            return timm.create_model(self.model, num_classes=self.classes, in_chans=self.in_chans, **options)
        except TypeError as error:
            hint = "an option that this model does not take"
            raise SpecError.of("MX102", f"timm refuses to make {self.model}: {error}", hint, ("options",)) from error

    def _paths(self, model: nn.Module, pattern: str) -> list[str]:
        """Modules that a pattern names; ``*`` stands for one step of the path. Raises SpecError."""
        steps = pattern.split(".")
        names = [name for name, _ in model.named_modules()]
        paths = [
            name for name in names if len(at := name.split(".")) == len(steps) and all(map(fnmatchcase, at, steps))
        ]
        if not paths:
            near = ", ".join(nearest(pattern, names, most=3))
            raise SpecError.of("MX104", f"{self.model} has no module {pattern!r}", near, ("replace", pattern))
        return paths

    def _exchanged(self, model: nn.Module, path: str, mixer: Mixer, x: Tensor) -> nn.Module:
        """The mixer as a module in the place of the one at ``path``. Raises SpecError."""
        from torch.nn import Identity

        from ..foreign import Exchanged, map_of, seen

        if isinstance(mixer, IdentityMixer):
            return Identity()
        original = model.get_submodule(path)
        try:
            height, width, c, channels_last = map_of(original, seen(model, original, x))
        except ValueError as error:
            raise SpecError.of("MX201", f"{path} cannot be exchanged: {error}", "", ("replace",)) from error
        at = Grid(height, width, c)
        mixer = mixer.settle(1, at)
        if problems := [problem.under("replace") for problem in mixer.check(at)]:
            raise SpecError(*problems)
        layer = self._framed(mixer, c)
        return Exchanged(_build(layer, at), channels_last, layer, at)

    def _framed(self, mixer: Mixer, c: int) -> Layer:
        return Branch(tuple(conv_frame(mixer, BatchNorm(), c).items())) if self.block == "conv" else mixer

    def initialise(self, module: Any, default: Init) -> None:
        """timm's own start for what is timm's, the family's for the mixers."""
        from ..foreign import Exchanged

        exchanged = {path: part for path, part in module.named_modules() if isinstance(part, Exchanged)}
        fresh = self.create()
        own = {**dict(fresh.named_parameters()), **dict(fresh.named_buffers())}
        for path, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if not path.startswith(tuple(f"{inner}." for inner in exchanged)):
                tensor.copy_(own[path])
        for part in exchanged.values():
            for path, leaf, _ in walk(part.layer, part.at):
                if isinstance(leaf, Leaf):
                    leaf.initialise(attrgetter(path)(part.mixer) if path else part.mixer, default)


def _build(layer: Layer, at: Grid) -> Any:
    placed = {name: place(part, at) for name, part in layer.parts(at).items()}
    return layer.module(at, {name: _build(part.layer, part.at) for name, part in placed.items()})


@lru_cache(maxsize=64)
def _trace(family: Timm, height: int, width: int) -> Trace:
    import torch

    from ..foreign import trace

    model = family.module(Grid(height, width, family.in_chans), {})
    try:
        return trace(model, torch.empty(1, family.in_chans, height, width, device="meta"))
    except (AssertionError, RuntimeError) as error:
        what = f"{family.model} does not run on {height}x{width} pixels: {error}"
        raise SpecError.of(
            "MX201", what, "options: {img_size: ...} where the model has a fixed size", ("model",)
        ) from error
