"""What mixers declare about themselves, against the connection matrix of an instance that runs.

The folder is walked, so a new file is tested without an edit here. Then mixers that lie, one property each, to see that
no lie passes; and operators written in other ways than ours, to see that they are understood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar, Literal, get_args, get_origin

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mixspec.compiler.bound import Bound
from mixspec.compiler.grid import Grid
from mixspec.compiler.layer import Parts
from mixspec.compiler.measure.compare import compare
from mixspec.compiler.measure.reading import measure
from mixspec.compiler.measure.tiny import tiny
from mixspec.compiler.mixer import Mixer, Traits
from mixspec.compiler.mixers import registry
from mixspec.compiler.mixers.cadasp import CADAsp
from mixspec.compiler.mixers.dw import DW
from mixspec.compiler.mixers.hpx import Hpx
from mixspec.compiler.mixers.involution import Involution
from mixspec.compiler.mixers.local import Local
from mixspec.compiler.mixers.tokenlinear import TokenLinear
from mixspec.compiler.mixers.window import Window
from mixspec.compiler.parts import Act, Conv, LayerNorm, Linear
from mixspec.compiler.traits import differences

WIDE = Grid(14, 14, 64)
SMALL = {"head_channels": 4, "groups": 4, "base_kernels": 3}
"""Heads of four channels are as good as heads of 32, and need fewer of them; and so on."""


def small(name: str, **fields: object) -> Mixer:
    """A mixer with its defaults, but narrow heads where it has any, and few base kernels."""
    known = registry[name].model_fields
    chosen = {key: value for key, value in SMALL.items() if key in known and known[key].default != 1}
    return registry[name](**{**chosen, **fields})


def variants(name: str) -> Iterator[Mixer]:
    """Every other choice of one field, and stride 2, with a kernel of 3x3 where there is one."""
    cls = registry[name]
    kernel = {"kernel": 3} if isinstance(getattr(cls(), "kernel", None), int) else {}
    for field, info in cls.model_fields.items():
        choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
        if info.annotation is bool:
            choices = (not info.default,)
        yield from (small(name, **kernel, **{field: choice}) for choice in choices if choice != info.default)
    if cls.strides():
        yield small(name, **kernel).strided(2)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", sorted(registry))
def test_every_mixer_is_what_it_declares(name: str, seed: int) -> None:
    compared = compare(small(name).settle(1, WIDE), WIDE, seed)
    assert not compared.differences, f"on {compared.at}: {compared}"


@pytest.mark.parametrize("name", sorted(registry))
def test_every_variant_is_what_it_declares(name: str) -> None:
    for mixer in variants(name):
        compared = compare(mixer.settle(1, WIDE), WIDE)
        assert not compared.differences, f"{mixer} on {compared.at}: {compared}"


CORNERS = """
window s=3 Ch=4, window w=4 s=2 Ch=4, window w=8 Ch=4, ConvWindow s=3 Ch=4, ConvWindow w=4 s=2 Ch=4 order=pre,
staticwindow s=3 Ch=4, staticwindow s=3 Ch=4 shared=true, Hpx K=3, Hpx K=5 filter=explicit k=1, Hb L=20, Hyena k=5 L=30,
DW k=4, DW k=6 Ch=all, DW k=1, Conv k=1, CADA b=2 ca=5 agg=4 Ch=all, CADAsp b=2 ca=1 agg=3 Ch=4 stride=2,
involution k=3 stride=3 Ch=4, local k=4 Ch=2, SAN k=3 Ch=2, SAN k=5 Ch=1, ConvAttention kv=1 k=1 Ch=4,
ConvAttention kv=3 Ch=4, DDW k=4, IDynamic k=5 G=2, DA b=2 agg=3 stride=2
"""
"""Shifts that meet padding, even kernels, sequences shorter than the map, strides that skip positions, ..."""


@pytest.mark.parametrize("notation", [" ".join(text.split()) for text in CORNERS.split(",")])
def test_odd_settings_are_what_they_declare(notation: str) -> None:
    compared = compare(registry.make(notation).settle(1, WIDE), WIDE)
    assert not compared.differences, f"on {compared.at}: {compared}"


# mixers that lie

AT = Grid(8, 9, 8)


class Honest(Mixer):
    """A depth-wise 3x3 convolution, and whatever ``bend`` does beside it."""

    notation = "Honest"
    declared: ClassVar[Traits] = Traits("sliding", "separate", 1)
    bend: ClassVar[Callable[[Bound, Tensor], Tensor]] = staticmethod(lambda m, x: m.conv(x))

    def traits(self, at: Grid) -> Traits:
        return self.declared

    def parts(self, at: Grid) -> Parts:
        full, map_ = Conv(at.c, at.c, 3), Linear(at.c, at.c, bias=True)
        gate = Act("sigmoid", at.c)
        rows = Linear(at.pixels, at.pixels).on(Grid(at.c, 1, at.pixels))
        return {"conv": Conv(at.c, at.c, 3, groups=at.c), "full": full, "map": map_, "gate": gate, "rows": rows}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return type(self).bend(m, x)


def liar(bend: Callable[[Bound, Tensor], Tensor], declared: Traits = Honest.declared) -> Mixer:
    """An Honest that computes something else than it declares."""
    return type("Liar", (Honest,), {"bend": staticmethod(bend), "declared": declared})()


def found(bend: Callable[[Bound, Tensor], Tensor], declared: Traits = Honest.declared) -> tuple[str, ...]:
    """The fields in which it is caught."""
    return differences(declared, measure(liar(bend, declared), AT))


def ramp(x: Tensor) -> Tensor:
    """A factor for every position, on maps of any size."""
    height, width = x.shape[2:]
    return 1 + torch.arange(height * width, dtype=x.dtype).view(height, width).sin()


def quarters(x: Tensor) -> Tensor:
    """Means of 2x2 positions, at each of them."""
    means = F.avg_pool2d(x, 2, ceil_mode=True)
    return F.interpolate(means, scale_factor=2.0)[..., : x.shape[2], : x.shape[3]]


def attended(x: Tensor) -> Tensor:
    """Attention in one head, by hand."""
    q = x.flatten(2)
    return (q @ (q.transpose(1, 2) @ q / 8).softmax(-1).transpose(1, 2)).view_as(x)


def one_kernel(m: Bound, x: Tensor) -> Tensor:
    """The first channel's kernel for all of them."""
    return F.conv2d(x, m.conv.weight[:1].expand(x.shape[1], 1, 3, 3), padding=1, groups=x.shape[1])


LIES: dict[str, tuple[Callable[[Bound, Tensor], Tensor], str]] = {
    "nothing": (lambda m, x: m.conv(x), ""),
    "a wider window": (lambda m, x: m.conv(m.conv(x)), "reach"),
    "the position itself": (lambda m, x: x * m.conv.weight[:, :, 1, 1:2], "space reach"),
    "the mean of the image": (lambda m, x: m.conv(x) + x.mean((2, 3), keepdim=True), "space reach"),
    "the mean of a quarter": (lambda m, x: quarters(x), "space shared_over_positions channels_per_weight"),
    "what came before": (lambda m, x: x.flatten(2).cumsum(2).view_as(x), "space reach channels_per_weight"),
    "another channel": (lambda m, x: m.conv(x) + m.conv(x.roll(1, 1)), "channels channels_per_weight"),
    "all channels": (lambda m, x: m.full(x), "channels"),
    "a factor by position": (lambda m, x: m.conv(x) * ramp(x), "shared_over_positions kernel_rank"),
    "one kernel for all channels": (one_kernel, "channels_per_weight"),
    "a gate of the image": (lambda m, x: m.conv(x) * m.gate(x.mean((2, 3), keepdim=True)), "dynamic context"),
    "a gate of the position": (
        lambda m, x: m.conv(x) * m.gate(m.map(x)),
        "shared_over_positions dynamic kernel_rank",
    ),
    "a gate of the neighbours": (
        lambda m, x: m.conv(x) * m.gate(F.avg_pool2d(x, 5, 1, 2)),
        "shared_over_positions dynamic context kernel_rank",
    ),
    "attention": (
        lambda m, x: attended(x),
        "space reach shared_over_positions channels_per_weight dynamic context",
    ),
    "a map of one size": (lambda m, x: m.conv(x) + 0 * m.rows(x.flatten(2)).view_as(x), "any_size"),
}
"""What it computes, and the fields of its declaration that are then false."""


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_caught(lie: str) -> None:
    bend, fields = LIES[lie]
    assert set(found(bend)) == set(fields.split())


# the same operators, written otherwise


class LinearAttention(Honest):
    """q (k v) with positive q and k and no softmax."""

    def parts(self, at: Grid) -> Parts:
        return {"qkv": Linear(at.c, 3 * at.c), "norm": LayerNorm(at.c), "proj": Linear(at.c, at.c)}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        q, k, v = m.qkv(m.norm(x)).flatten(2).unflatten(1, (3, 2, -1)).unbind(1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        y = (v @ k.transpose(-1, -2)) @ q / (k.sum(-1)[..., None, :] @ q)
        return m.proj(y.flatten(1, 2).view_as(x))


class Unfolded(Honest):
    """Involution on the unfolded map, with positions first and channels last."""

    def parts(self, at: Grid) -> Parts:
        return {"reduce": Linear(at.c, 4), "act": Act("star_relu", 4), "span": Linear(4, 2 * 9, bias=True)}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        kernels = m.span(m.act(m.reduce(x))).unflatten(1, (2, 1, 9))
        windows = F.unfold(x, 3, padding=1).unflatten(2, x.shape[2:]).unflatten(1, (2, -1, 9))
        return (kernels * windows).sum(3).flatten(1, 2)


class Grouped(Honest):
    """A kernel for each image and channel, as one convolution of B * C groups; GELU and gate behind it."""

    def parts(self, at: Grid) -> Parts:
        return {"span": Linear(at.c, at.c * 9), "gate": Linear(at.c, at.c), "act": Act("gelu", at.c)}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        batch, c, height, width = x.shape
        kernels = m.span(x.mean((2, 3), keepdim=True)).view(batch * c, 1, 3, 3)
        y = F.conv2d(x.view(1, batch * c, height, width), kernels, padding=1, groups=batch * c)
        return m.act(y.view_as(x))


class LastAxis(Honest):
    """Attention in two heads on (B, positions, channels), with q, k and v of a head side by side."""

    def parts(self, at: Grid) -> Parts:
        row = Grid(at.pixels, 1, at.c)
        return {"qkv": Linear(at.c, 3 * at.c).on(row), "proj": Linear(at.c, at.c).on(row)}

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        rows = x.flatten(2).transpose(1, 2)
        q, k, v = m.qkv(rows).unflatten(2, (2, 3, -1)).permute(3, 0, 2, 1, 4).unbind(0)
        y = torch.softmax(torch.einsum("bhid,bhjd->bhij", q, k) / 2, dim=-1) @ v
        return m.proj(y.transpose(1, 2).flatten(2)).transpose(1, 2).view_as(x)


WRITTEN: dict[type[Mixer], Traits] = {
    LinearAttention: Traits("dense", "separate", None, False, 4, "position", None),
    Unfolded: Traits("sliding", "separate", 1, False, 4, "position", 0, kernel_rank=5),
    Grouped: Traits("sliding", "separate", 1, dynamic="image", context=None),
    LastAxis: Traits("dense", "separate", None, False, 4, "position", None),
}


@pytest.mark.parametrize("cls", WRITTEN, ids=lambda cls: cls.__name__)
def test_an_operator_is_understood_however_it_is_written(cls: type[Mixer]) -> None:
    assert differences(WRITTEN[cls], measure(cls(), AT)) == ()


SCATTERED = torch.randperm(72, generator=torch.Generator().manual_seed(0))


def test_connections_without_a_name_are_refused() -> None:
    with pytest.raises(ValueError, match="neither windows, blocks"):
        measure(liar(lambda m, x: x + x.flatten(2)[..., SCATTERED].view_as(x)), AT)


# the small instance


def test_a_small_instance_keeps_what_is_written_and_forgets_its_place() -> None:
    at = Grid(56, 56, 512)
    mixer, grid = tiny(Hpx(kernel=7).settle(1, at), at)
    assert isinstance(mixer, Hpx) and mixer.kernel == 7 and mixer.traits(grid).space == "sliding"
    assert min(grid.h, grid.w) > 2 * (mixer.traits(grid).reach or 0)
    mixer, grid = tiny(TokenLinear().settle(1, at), at)
    assert isinstance(mixer, TokenLinear) and (mixer.height, mixer.width) == (grid.h, grid.w) != (56, 56)


def test_a_small_instance_shows_windows_heads_and_ranks() -> None:
    at = Grid(48, 48, 512)
    mixer, grid = tiny(Window(window=12), at)
    assert mixer.traits(grid).space == "blocks" and grid.c == 64
    mixer, grid = tiny(CADAsp(base_kernels=24, kernel=7, head_channels=4), at)
    assert mixer.traits(grid).kernel_rank == 25 and (grid.h - 6) * (grid.w - 6) > 25
    with pytest.raises(ValueError, match="runs on no map"):
        tiny(Involution(head_channels=7), at)


def test_ranks_count_base_kernels_over_positions_and_images() -> None:
    at = Grid(12, 13, 8)
    for mixer, rank in (
        (CADAsp(base_kernels=3, kernel=5, head_channels=4), 4),
        (CADAsp(base_kernels=3, kernel=5, head_channels=4, position=False), 3),
        (CADAsp(base_kernels=30, kernel=5, head_channels=4), None),
        (Local(kernel=5), None),
        (DW(kernel=5), None),
    ):
        settled = mixer.settle(1, at)
        assert settled.traits(at).kernel_rank == rank
        assert measure(settled, at) == settled.traits(at)


def test_a_difference_is_told_in_words() -> None:
    compared = compare(DW(head_channels=4), WIDE)
    assert str(compared) == "as declared"
    wrong = replace(compared, declared=replace(compared.declared, reach=2, any_size=False))
    assert wrong.differences == ("reach", "any_size")
    assert str(wrong) == "reach 3 not 2, any_size True not False"
