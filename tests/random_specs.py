"""Random specs over every family and mixer there is; new files are picked up by themselves."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from mixspec.compiler.errors import SpecError
from mixspec.compiler.mixers import registry as mixers
from mixspec.compiler.operator import Operator
from mixspec.compiler.parse import parse
from mixspec.compiler.per_stage import show
from mixspec.compiler.resolve import Network, resolve

SMALL = {"stride": [1]}
"""Fields whose values a family decides."""

CHOICES: dict[str, list[Any]] = {
    "head_channels": [1, 2, 4, 8],
    "groups": [1, 2, 4, 8],
    "reduction": [1, 2, 4],
    "ratio": [1, 2, 3],
    "shift": [0, 1],
}
"""Values that have a fair chance to be legal, by field; other whole numbers are drawn from odd sizes."""


def values(name: str, field: FieldInfo) -> st.SearchStrategy[Any]:
    """Values of one field of an operator."""
    annotation, default = field.annotation, field.default
    if name in SMALL:
        return st.sampled_from(SMALL[name])
    if name in CHOICES:
        return st.sampled_from(CHOICES[name])
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    if annotation is bool:
        return st.booleans()
    if isinstance(default, int) and not isinstance(default, bool):
        least = max((getattr(bound, "ge", 1) for bound in field.metadata), default=1)
        return st.sampled_from([size for size in (1, 3, 5, 7) if size >= least])
    return st.just(default)


@st.composite
def operators(draw: st.DrawFn, names: tuple[str, ...] | None = None) -> Operator:
    """A mixer with random fields; one of ``names`` if given."""
    cls = mixers[draw(st.sampled_from(names or sorted(mixers)))]
    fields = {
        name: draw(values(name, field))
        for name, field in cls.model_fields.items()
        if not field.is_required() and (name in CHOICES or draw(st.booleans()))
    }
    return cls(**fields)


@st.composite
def metaformers(draw: st.DrawFn) -> str:
    """The text of a metaformer spec."""
    more = [[], ["stem: small"], ["stem: half"], ["head: linear"], ["norm: BatchNorm"], ["mlp: MLP r=2 act=gelu"]]
    lines = [*_frame(draw, 4), *draw(st.sampled_from(more))]
    return _text(draw, "metaformer", lines, 4, st.integers(8, 40))


@st.composite
def resnets(draw: st.DrawFn) -> str:
    """The text of a resnet spec."""
    lines = [
        _depths(draw, 4),
        f"width: {draw(st.sampled_from([8, 16]))}",
        f"variant: {draw(st.sampled_from(['original', 'b', 'd', 'e', 'post']))}",
        f"stem: {draw(st.sampled_from(['original', 'deep', 'small']))}",
        f"pre: {draw(st.sampled_from(['auto', 'none', 'bn', 'relu', 'bn+relu']))}",
    ]
    return _text(draw, "resnet", lines, 4, st.integers(8, 80))


@st.composite
def swins(draw: st.DrawFn) -> str:
    """The text of a swin spec."""
    lines = [
        *_frame(draw, 4),
        f"block: {draw(st.sampled_from(['transformer', 'conv']))}",
        f"se: {draw(st.sampled_from([0, 4]))}",
        f"extra: {draw(st.sampled_from(['identity', 'DW k=3']))}",
    ]
    return _text(draw, "swin", lines, 4, st.integers(8, 64))


@st.composite
def convnexts(draw: st.DrawFn) -> str:
    """The text of a convnext spec."""
    side = draw(st.sampled_from([1, 2, 4]))
    lines = [*_frame(draw, 4), f"stem_stride: {side}", f"layer_scale: {draw(st.sampled_from(['null', '1e-6']))}"]
    return _text(draw, "convnext", lines, 4, st.integers(8 * side, 16 * side))


@st.composite
def isotropics(draw: st.DrawFn) -> str:
    """The text of an isotropic spec."""
    stages, patch, token = draw(st.integers(1, 2)), draw(st.sampled_from([2, 4])), draw(st.booleans())
    lines = [
        _depths(draw, stages),
        f"width: {draw(st.sampled_from(WIDTHS))}",
        f"patch: {patch}",
        f"position: {draw(_BOOLEANS)}",
        f"class_token: {str(token).lower()}",
        "mlp: null" if not token and draw(st.booleans()) else "mlp: MLP r=2",
        f"layer_scale: {draw(st.sampled_from(['null', '1e-4']))}" if not token else "norm: LayerNorm",
    ]
    images = st.integers(4, 8).map(lambda rows: rows * patch)
    return _text(draw, "isotropic", lines, stages, images, WITH_TOKEN if token else None)


@st.composite
def cvts(draw: st.DrawFn) -> str:
    """The text of a cvt spec."""
    token = draw(st.booleans())
    lines = [
        *_frame(draw, 3),
        f"embedding: {draw(st.sampled_from(['conv', 'residual']))}",
        f"stem_stride: {draw(st.sampled_from([1, 2, 4]))}",
        f"class_token: {str(token).lower()}",
        f"mlps: {draw(st.sampled_from(['MLP r=2', 'MLP r=2 act=relu', 'ConvFF in stages 1-2, MLP in stage 3']))}",
    ]
    return _text(draw, "cvt", lines, 3, st.integers(8, 40), WITH_TOKEN if token else None)


@st.composite
def plain(draw: st.DrawFn) -> str:
    """The text of a san, vgg or resnet_cifar spec."""
    family, stages = draw(st.sampled_from(["san", "vgg", "resnet_cifar"])), draw(st.integers(1, 3))
    lines = _frame(draw, stages) if family != "resnet_cifar" else [_depths(draw, stages), "width: 16"]
    return _text(draw, family, lines, stages, st.integers(8, 40))


WIDTHS = [16, 32, 48, 64]
WITH_TOKEN = ("attention", "convattention")
"""Mixers that take a class token along."""
_BOOLEANS = st.sampled_from(["true", "false"])


def _depths(draw: st.DrawFn, stages: int) -> str:
    return f"depths: {[draw(st.integers(1, 2)) for _ in range(stages)]}"


def _frame(draw: st.DrawFn, stages: int) -> list[str]:
    return [_depths(draw, stages), f"dims: {[draw(st.sampled_from(WIDTHS)) for _ in range(stages)]}"]


def _text(
    draw: st.DrawFn,
    family: str,
    lines: list[str],
    stages: int,
    images: st.SearchStrategy[int],
    last: tuple[str, ...] | None = None,
) -> str:
    """A spec with random mixers, that of the last stage one of ``last``."""
    plan = show([*(draw(operators()) for _ in range(stages - 1)), draw(operators(last))])
    image = f"[{draw(images)}, {draw(images)}]"
    more = [f"in_chans: {draw(st.sampled_from([1, 3]))}", f"classes: {draw(st.sampled_from([0, 1, 10]))}"]
    return "\n".join(["name: random", f"family: {family}", *lines, *more, f"image: {image}", f'mixers: "{plan}"', ""])


def legal(text: str) -> Network | None:
    """The network of a text, or None where the compiler refuses it."""
    try:
        return resolve(parse(text, "random.yaml"))
    except SpecError as error:
        assert all(problem.span and problem.code.startswith(("MX1", "MX2")) for problem in error.problems), str(error)
        return None


specs = st.one_of(metaformers(), resnets(), swins(), convnexts(), isotropics(), cvts(), plain())
