"""The Triton kernels against the operators' own float64: on a GPU where there is one, else in Triton's interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from mixspec.compiler.ops import gpu
from mixspec.compiler.ops.aggregate import aggregate, aggregate_decomposed
from mixspec.compiler.ops.global_conv import global_conv, map_layout

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(autouse=True)
def switched_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(gpu.SWITCH, "1")
    yield


def relative(actual: Tensor, exact: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    return float((actual.detach().cpu().double() - exact.detach()).abs().max() / exact.detach().abs().max())


def doubles(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes]


def agree(operator, tensors: list[Tensor], layout: torch.memory_format, dtype: torch.dtype, bound: float) -> None:
    """Output and gradients of the kernels, in `dtype`, equal those in float64, where the kernels do not stand."""
    rounded = [t.detach().to(dtype) for t in tensors]
    exact = [t.double().requires_grad_() for t in rounded]
    ours = [t.to(DEVICE).requires_grad_() for t in rounded]
    with torch.no_grad():
        ours[0].data = ours[0].data.contiguous(memory_format=layout)
    assert gpu.wanted(ours[0]) and not gpu.wanted(exact[0])
    expected, got = operator(*exact), operator(*ours)
    dy = torch.randn(expected.shape).to(dtype)
    assert got.dtype == dtype
    assert got.shape == expected.shape
    assert relative(got, expected) < bound
    wanted = torch.autograd.grad(expected, exact, dy.double())
    for ours_, theirs in zip(torch.autograd.grad(got, ours, dy.to(DEVICE)), wanted, strict=True):
        assert relative(ours_, theirs) < bound


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("images", "channels", "size", "heads", "kernel", "stride", "base", "shared", "alphas"),
    [
        (2, 8, (6, 5), 2, 3, 1, 3, True, 2),  # CADAsp
        (2, 6, (7, 6), 3, 5, 2, 4, False, 2),  # CADA, strided
        (
            2,
            4,
            (5, 7),
            1,
            5,
            1,
            40,
            True,
            1,
        ),  # DAsp: one set of coefficients for all images, more base kernels than a tile
        (1, 40, (4, 4), 2, 4, 1, 2, False, 1),  # an even window, more channels than a tile
    ],
)
def test_decomposed_maps(images, channels, size, heads, kernel, stride, base, shared, alphas, layout) -> None:
    out = tuple(-(-side // stride) for side in size)
    tensors = doubles(
        (images, channels, *size),
        (alphas, base * (1 if shared else heads), *out),
        (heads * kernel**2, base, 1, 1),
        (heads * kernel**2,),
    )

    def operator(x: Tensor, alpha: Tensor, bank: Tensor, position: Tensor) -> Tensor:
        return aggregate_decomposed(x, alpha, bank, position, kernel=kernel, stride=stride)

    agree(operator, tensors, layout, torch.float32, 1e-6)


@pytest.mark.parametrize("maps", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_stored_maps(maps: int, stride: int) -> None:
    out = tuple(-(-side // stride) for side in (6, 5))
    tensors = doubles((2, 6, 6, 5), (maps, 2 * 9, *out))
    agree(lambda x, m: aggregate(x, m, kernel=3, stride=stride), tensors, LAYOUTS[0], torch.float32, 1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_sums_in_float32(dtype: torch.dtype) -> None:
    """Only the results are rounded: half a unit in the last place of the largest."""
    tensors = doubles((1, 4, 5, 5), (1, 3, 5, 5), (2 * 9, 3, 1, 1))
    bound = torch.finfo(dtype).eps

    def operator(x: Tensor, alpha: Tensor, bank: Tensor) -> Tensor:
        return aggregate_decomposed(x, alpha, bank, None, kernel=3)

    agree(operator, tensors, LAYOUTS[0], dtype, bound)
    agree(lambda x, h: global_conv(x, h), doubles((2, 1, 4, 5), (1, 7, 9)), LAYOUTS[0], dtype, bound)


def test_only_the_gradients_asked_for() -> None:
    x, maps = torch.randn(1, 2, 4, 4, device=DEVICE), torch.randn(1, 9, 4, 4, device=DEVICE, requires_grad=True)
    aggregate(x, maps, kernel=3).sum().backward()
    assert maps.grad is not None and x.grad is None


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("images", "size", "taps"),
    [(3, (5, 7), (9, 13)), (2, (7, 7), (3, 5)), (20, (9, 4), (30, 2)), (2, (2, 20), (3, 39))],
)
def test_global_convolution(images, size, taps, layout: torch.memory_format) -> None:
    """Filters smaller than the map, as large as it can use, and larger; odd and even."""
    tensors = doubles((images, 2, *size), (2, *taps))
    agree(lambda x, h: global_conv(x, h), tensors, layout, torch.float32, 1e-6)


def test_large_maps_and_sequences_are_transformed() -> None:
    assert not gpu.row_is_a_tile(map_layout(torch.empty(1, 1, 56, 56), torch.empty(1, 111, 111)))
    x, h = torch.randn(1, 2, 30), torch.randn(2, 59)
    assert relative(global_conv(x, h), global_conv(x.double(), h.double())) < 1e-6


def test_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(gpu.SWITCH)
    assert not gpu.wanted(torch.empty(1))


COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from mixspec.compiler.ops.gpu import aggregate, aggregate_kernels, global_conv

POINTERS = {"x", "y", "dx", "dy", "source", "bank", "position", "alpha", "dalpha", "dbank", "dposition", "dmap",
            "filters", "dfilters"}
TILE = dict(G=7, S=1, P=aggregate.PIXELS, T=16, C=16)
KERNELS = [
    (aggregate_kernels.forward, dict(TILE, MADE=True, BIAS=True, BASE=16)),
    (aggregate_kernels.forward, dict(TILE, MADE=False, BIAS=False, BASE=16)),
    (aggregate_kernels.input_gradient, dict(TILE, MADE=True, BIAS=True)),
    (aggregate_kernels.map_gradient, TILE),
    (aggregate_kernels.share_gradient, dict(TILE, BASE=16)),
    (aggregate_kernels.bank_gradient, dict(TILE, BASE=16)),
    (global_conv._convolve, dict(SIGN=1, N=64, W=32)),
    (global_conv._filter_gradient, dict(N=64, W=32)),
]
for kernel, constants in KERNELS:
    for number in ("fp32", "bf16"):
        of = lambda n: "constexpr" if n in constants else "*" + number if n in POINTERS else "i32"
        types = {n: of(n) for n in kernel.arg_names}
        places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
        made = triton.compile(ASTSource(kernel, types, places), target=GPUTarget("cuda", 90, 32))
        print(kernel.__name__, number, len(made.asm["cubin"]) > 0)
"""


@pytest.mark.slow
def test_every_kernel_compiles_for_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """To machine code for compute capability 9.0, which needs no GPU."""
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" True") == 16
