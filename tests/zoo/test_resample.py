"""Weights of one image size for the same network at another."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import mixspec
from mixspec.compiler.errors import SpecError
from mixspec.compiler.mixers._filters import centre_distance
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo.load import build, fresh
from mixspec.zoo.resample import bicubic, distances, resample, table
from mixspec.zoo.weights import save

META = "family: metaformer\nstem: small\ndepths: [1, 1]\ndims: [8, 16]\n"
SWIN = "family: swin\ndepths: [1, 2]\ndims: [32, 64]\n"
SPECS = {
    "hpx": META + "mixers: Hpx",
    "hpx_explicit": META + "mixers: Hpx filter=explicit",
    "hpx_separable": META + "mixers: Hpx filter=separable",
    "hb": META + "mixers: Hb",
    "hyena": META + "mixers: Hyena",
    "da": META + "mixers: DA b=2 agg=3 Ch=8",
    "local": META + "mixers: Local k=3 Ch=8",
    "vit": "family: isotropic\npatch: 4\nwidth: 16\ndepths: [2]\nmixers: attention Ch=8",
}
NAMES = ["hpx", "hb", "hyena", "da", "vit", "hpx_explicit", "hpx_separable"]


def network(text: str, image: int = 16) -> Network:
    return resolve(parse(f"name: x\nimage: {image}\nclasses: 3\n{text}\n"))


@pytest.mark.parametrize("name", NAMES)
def test_equal_sizes_leave_every_tensor_alone(name: str) -> None:
    net = network(SPECS[name])
    state = fresh(net, 1).state_dict()
    assert all(same is state[key] for key, same in resample(state, net).items())


@pytest.mark.parametrize("name", NAMES)
def test_larger_model_takes_them(name: str) -> None:
    net = network(SPECS[name], 24)
    model = fresh(net, 2).eval()
    state = fresh(network(SPECS[name]), 1).state_dict()
    model.load_state_dict(resample(state, net), strict=True)
    with torch.no_grad():
        assert model(torch.randn(1, 3, 24, 24)).isfinite().all()
    same = [key for key in state if torch.equal(resample(state, net)[key], state[key])]
    assert 0 < len(same) < len(state)


def test_constant_kernels_stay_constant() -> None:
    for size in ((12, 12), (5, 5), (7, 9)):
        assert torch.allclose(bicubic(torch.full((3, 1, 7, 7), 0.7), size), torch.tensor(0.7, dtype=torch.float64))
    assert torch.allclose(table(torch.full((169, 3), 0.7), (529, 3)), torch.tensor(0.7, dtype=torch.float64))


@pytest.mark.parametrize(
    ("before", "after", "factor"), [(111, 191, 1.162), (55, 95, 1.158), (27, 47, 1.149), (13, 23, 1.130)]
)
def test_official_distances_at_384_pixels(before: int, after: int, factor: float) -> None:
    old, shape = centre_distance(1, 1, before, before), (1, 1, after, after)
    official = distances(old, shape, "official")
    middle = after // 2
    assert float(official[0, 0, middle, middle]) == 0
    assert float(official[0, 0, middle, middle + 1]) == pytest.approx(factor, abs=5e-4)
    assert torch.allclose(official, 2 * distances(old, shape, "coverage"))


def test_coverage_keeps_the_share_of_the_map_also_the_second_time() -> None:
    old = centre_distance(1, 1, 31, 31)
    new = distances(old, (1, 1, 47, 47), "coverage")
    again = distances(new, (1, 1, 31, 31), "coverage")
    assert torch.allclose(again, old.double(), atol=1e-5)
    # a window with this decay ends after the same share of the kernel
    share_old = float((old[0, 0, 15] <= 6).sum()) / 31
    share_new = float((new[0, 0, 23] <= 6).sum()) / 47
    assert share_new == pytest.approx(share_old, abs=0.03)


def hpx_parts() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    state = fresh(network(SPECS["hpx"]), 1).state_dict()
    return state, resample(state, network(SPECS["hpx"], 24))


def test_hpx_positions_are_bicubic_with_antialiasing_and_the_rest_stays() -> None:
    state, moved = hpx_parts()
    key = "stages.0.blocks.0.mixer."
    expected = F.interpolate(state[f"{key}positions"], (47, 47), mode="bicubic", antialias=True)
    torch.testing.assert_close(moved[f"{key}positions"], expected, atol=1e-5, rtol=1e-5)
    for name in ("filter.decay", "filter.shift", "skip", "filter.mlp.fc1.weight", "depthwise.weight"):
        assert moved[key + name] is state[key + name]


def test_kernels_from_7_to_12_as_swin_resizes_tables() -> None:
    text = SWIN + "block: conv\nmixers: DW k={} bias=true"
    state = fresh(network(text.format(7), 32), 1).state_dict()
    moved = resample(state, network(text.format(12), 64))
    key = "stages.0.blocks.0.spatial.mixer.conv.weight"
    assert moved[key].shape == (32, 1, 12, 12)
    expected = F.interpolate(state[key], (12, 12), mode="bicubic", align_corners=False)
    torch.testing.assert_close(moved[key], expected, atol=1e-6, rtol=1e-5)


def test_window_tables_from_7_to_12() -> None:
    text = SWIN + "mixers: window w={}"
    state = fresh(network(text.format(7), 64), 1).state_dict()
    moved = resample(state, network(text.format(12), 96))
    key = "stages.1.blocks.1.spatial.mixer.table"
    assert moved[key].shape == (23 * 23, 2)
    grid = state[key].T.reshape(1, 2, 13, 13)
    expected = F.interpolate(grid, (23, 23), mode="bicubic", align_corners=False).reshape(2, -1).T
    torch.testing.assert_close(moved[key], expected, atol=1e-6, rtol=1e-5)
    assert float(moved[key][23 * 11 + 11, 0]) == pytest.approx(float(state[key][13 * 6 + 6, 0]), abs=1e-6)


def test_sequence_filters_know_their_new_times() -> None:
    for name in ("hb", "hyena"):
        wanted = fresh(network(SPECS[name], 24), 2).state_dict()
        state = fresh(network(SPECS[name]), 1).state_dict()
        moved = resample(state, network(SPECS[name], 24))
        key = "stages.0.blocks.0.mixer."
        assert torch.equal(moved[f"{key}filter.time"], wanted[f"{key}filter.time"])
        taps, more = (len(held["stages.0.blocks.0.mixer.positions"]) for held in (state, moved))
        at = torch.arange(more) * (taps - 1) / (more - 1)  # ends to ends
        angles = torch.linspace(1e-4, 15, 16) * (2 * torch.pi * at[:, None] / taps)
        waves = torch.cat((angles.cos(), -angles.sin()), 1)
        assert torch.allclose(moved[f"{key}positions"][:, 1:], waves, atol=0.05)
        time = moved[f"{key}filter.time"][:, 0]
        nearness = moved[f"{key}positions"][:, 0]
        assert torch.allclose(nearness, 1 - time if name == "hb" else time, atol=0.01)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        (SWIN + "mixers: staticwindow w=4 shared=true", SWIN + "mixers: staticwindow w=8 shared=true"),
        (META + "mixers: TokenLinear", META + "mixers: TokenLinear"),
        (META + "mixers: CADAsp b=2 agg=3 Ch=8", META + "mixers: CADAsp b=2 agg=5 Ch=8"),
    ],
)
def test_what_has_no_rule_is_a_complaint(text: str, more: str) -> None:
    state = fresh(network(text, 32), 1).state_dict()
    with pytest.raises(SpecError, match=r"MX804 \d+ weights cannot be resampled for x: stages"):
        resample(state, network(more, 64))


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """A spec, and weights for it."""
    spec, file = tmp_path / "x.yaml", tmp_path / "x.safetensors"
    spec.write_text(f"name: x\nimage: 16\nclasses: 3\n{SPECS['hpx']}\n")
    save(fresh(network(SPECS["hpx"]), 1), file)
    return spec, file


def test_build_resamples_a_file_for_the_spec_at_another_size(small: tuple[Path, Path], tmp_path: Path) -> None:
    spec, file = small
    kept = build(spec, pretrained=file, image=24)
    grown = build(spec, pretrained=file, image=24, resample="coverage")
    assert kept.stages[0].blocks[0].mixer.positions.shape[-1] == 31  # type: ignore[index]
    assert grown.stages[0].blocks[0].mixer.positions.shape[-1] == 47  # type: ignore[index]
    assert not grown.stages[0].blocks[0].mixer.filter.distance.requires_grad  # type: ignore[index]
    assert grown.training and all(tensor.is_contiguous() for tensor in grown.state_dict().values())
    save(grown, tmp_path / "large.safetensors")
    x = torch.randn(1, 3, 24, 24)
    assert torch.equal(mixspec.load(tmp_path / "large.safetensors")(x), grown.eval()(x))
    same = build(spec, pretrained=file, resample="official").eval()
    assert torch.equal(same(x[..., :16, :16]), mixspec.load(file)(x[..., :16, :16]))
    assert build(spec, pretrained=file, image=24, resample="coverage", classes=5).num_classes == 5


def test_build_resamples_no_other_network(small: tuple[Path, Path]) -> None:
    spec, file = small
    spec.write_text(spec.read_text().replace("dims: [8, 16]", "dims: [8, 24]"))
    with pytest.raises(SpecError, match=r"MX804 .* holds another network than x \(x; they differ in dims"):
        build(spec, pretrained=file, image=24, resample="coverage")
