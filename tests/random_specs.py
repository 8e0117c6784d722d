"""Random specs over every family and mixer there is; new files are picked up by themselves."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from hypothesis import strategies as st

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


def values(name: str, annotation: Any, default: Any) -> st.SearchStrategy[Any]:
    """Values of one field of an operator."""
    if name in SMALL:
        return st.sampled_from(SMALL[name])
    if name in CHOICES:
        return st.sampled_from(CHOICES[name])
    if get_origin(annotation) is Literal:
        return st.sampled_from(get_args(annotation))
    if annotation is bool:
        return st.booleans()
    if isinstance(default, int) and not isinstance(default, bool):
        return st.sampled_from([1, 3, 5, 7])
    return st.just(default)


@st.composite
def operators(draw: st.DrawFn) -> Operator:
    """A mixer with random fields."""
    cls = mixers[draw(st.sampled_from(sorted(mixers)))]
    fields = {
        name: draw(values(name, field.annotation, field.default))
        for name, field in cls.model_fields.items()
        if not field.is_required() and (name in CHOICES or draw(st.booleans()))
    }
    return cls(**fields)


@st.composite
def metaformers(draw: st.DrawFn) -> str:
    """The text of a metaformer spec."""
    dims = [draw(st.sampled_from([16, 32, 48, 64])) for _ in range(4)]
    depths = [draw(st.integers(1, 2)) for _ in range(4)]
    lines = ["family: metaformer", f"dims: {dims}", f"depths: {depths}"]
    lines += draw(
        st.sampled_from([[], ["stem: small"], ["head: linear"], ["norm: BatchNorm"], ["mlp: MLP r=2 act=gelu"]])
    )
    return _text(draw, lines, st.integers(8, 40))


@st.composite
def resnets(draw: st.DrawFn) -> str:
    """The text of a resnet spec."""
    lines = [
        "family: resnet",
        f"depths: {[draw(st.integers(1, 2)) for _ in range(4)]}",
        f"width: {draw(st.sampled_from([8, 16]))}",
        f"variant: {draw(st.sampled_from(['original', 'b', 'd', 'e', 'post']))}",
        f"stem: {draw(st.sampled_from(['original', 'deep', 'small']))}",
        f"pre: {draw(st.sampled_from(['auto', 'none', 'bn', 'relu', 'bn+relu']))}",
    ]
    return _text(draw, lines, st.integers(8, 80))


def _text(draw: st.DrawFn, lines: list[str], images: st.SearchStrategy[int]) -> str:
    plan = show([draw(operators()) for _ in range(4)])
    image = f"[{draw(images)}, {draw(images)}]"
    more = [f"in_chans: {draw(st.sampled_from([1, 3]))}", f"classes: {draw(st.sampled_from([0, 1, 10]))}"]
    return "\n".join(["name: random", *lines, *more, f"image: {image}", f'mixers: "{plan}"', ""])


def legal(text: str) -> Network | None:
    """The network of a text, or None where the compiler refuses it."""
    try:
        return resolve(parse(text, "random.yaml"))
    except SpecError as error:
        assert all(problem.span and problem.code.startswith(("MX1", "MX2")) for problem in error.problems), str(error)
        return None


specs = st.one_of(metaformers(), resnets())
