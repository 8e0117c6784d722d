"""The ResNet and SAN families: published counts, timm's networks, and where each variant puts its stride."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from mixspec.compiler.cost import count
from mixspec.compiler.counters import counted
from mixspec.compiler.errors import SpecError
from mixspec.compiler.families.resnet import ResNet
from mixspec.compiler.lower import lower
from mixspec.compiler.parse import parse, read
from mixspec.compiler.resolve import Network, resolve
from mixspec.compiler.verify import verify

SPECS = Path(__file__).parents[2] / "specs"
# parameters, multiply-adds, and what the counter of SAN's repository prints; arXiv:2210.17141, Tables 4, 5, 11 and 13
PUBLISHED = {
    "resnet/resnet50": (25557032, 3857973248, 3889132544),
    "resnet/resnet50b": (25557032, 4089184256, 4121924096),
    "resnet/resnet50d_oldstem": (25557032, 4089184256, 4123329024),
    "resnet/resnet50_postfilter": (25557032, 6054477824, 6092310528),
    "resnet/resnet50e_ideal": (25557032, 3857973248, 3888329728),
    "resnet/resnet50e_box": (25557032, 3857973248, 3888329728),
    "resnet/resnet50e_binomial3": (25557032, 3862940672, 3893297152),
    "resnet/resnet50e_avg3": (25557032, 3857973248, 3890537472),
    "resnet/resnet50e_dw3": (25573736, 3862940672, 3893297152),
    "resnet/resnet50d": (25576264, 4328824832, 4365378048),
    "resnet/resnet50d_dw7": (14436488, 2546748928, 2577582080),
    "resnet/resnet50d_cada_b4": (14506816, 2630229248, 2671583680),
    "resnet/resnet50d_cada_b8-64": (16691296, 2935311872, 2984230336),
    "resnet/resnet50d_cadasp_k9_b8": (14695636, 2746135808, 2784287208),
    "resnet/resnet50d_cadasp_k7_b16": (15582072, 3015894528, 3064296336),
    "resnet/resnet50d_cadasp_k9_b128": (21071476, 5074615808, 5117759328),
    "resnet/rednet50": (15540806, 2648505856, 2690144096),
    "san/san19": (20518470, 3130145280, 3258984704),
}


def network(**keys: object) -> Network:
    given = {"name": "x", "family": "resnet", **keys}
    return resolve(parse("\n".join(f"{key}: {value}" for key, value in given.items())))


def small(**keys: object) -> Network:
    return network(**{"size": 14, "width": 16, "classes": 5, "image": 32, **keys})


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_counts(name: str) -> None:
    spec = resolve(read(SPECS / f"{name}.yaml"))
    cost = count(spec)
    assert (cost.params, cost.macs, counted(spec, "ptflops-san")) == PUBLISHED[name]


@pytest.mark.parametrize(
    ("mixer", "params", "printed"),
    [  # the head size that the paper's own counts ask for; arXiv:2210.17141, Tables 4 and 13
        ("CADA b=4 ca=3 agg=7 Ch=32", 14.45, 2.64),
        ("CADA b=(8,16,32,64) ca=3 agg=7 Ch=32", 15.96, 2.86),
        ("CADAsp b=8 ca=3 agg=9 Ch=32", 14.64, 2.76),
    ],
)
def test_rows_with_a_disputed_head_size_fit_heads_of_32(mixer: str, params: float, printed: float) -> None:
    spec = network(variant="d", mixers=mixer, pre="bn+relu")
    assert round(counted(spec, "ptflops-san") / 1e9, 2) == printed
    assert 0 <= params - count(spec).params / 1e6 < 0.036


@pytest.mark.parametrize(
    ("mixer", "params"),
    [("DA b=4 Ch=8", 15060800), ("DAsp b=4 Ch=8", 14422700), ("DW k=7 Ch=8", 14274592), ("local k=7", 81863624)],
)
def test_what_networks_without_context_hold(mixer: str, params: int) -> None:
    assert count(network(variant="d", mixers=mixer)).params == params


def test_memory_of_the_paper_s_largest_network() -> None:
    """CADAsp with Ch=2 did not train there (section 5.1.1); without its maps it keeps about what DW keeps."""
    cadasp = count(network(variant="d", mixers="CADAsp b=(32,64,128,256) Ch=2")).activation_bytes
    dw = count(network(variant="d", mixers="DW")).activation_bytes
    assert 1.0 < cadasp / dw < 1.07


VARIANTS = [
    {"variant": "original"},
    {"variant": "b", "mixers": "CADA b=2 agg=5 Ch=4"},
    {"variant": "d", "mixers": "CADAsp b=2 Ch=8 in stages 1-3, DW k=5 in stage 4"},
    {"variant": "d", "mixers": "DAsp b=2", "shortcut_pool": 3, "stem": "small"},
    {"variant": "e", "mixers": "attention Ch=8", "filter": "CADAsp b=2 agg=3 Ch=all"},
    {"variant": "e", "filter": "ideal", "stem": "small"},
    {"variant": "e", "filter": "DW k=3", "filter_average": "true"},
    {"variant": "post", "filter": "binomial", "mixers": "involution Ch=4", "pre": "bn+relu"},
    {"variant": "d", "stem": "deep", "stem_mixer": "DW k=3", "mixers": "local k=3"},
]


@pytest.mark.parametrize("keys", VARIANTS, ids=lambda keys: " ".join(map(str, keys.values())))
def test_every_variant_counts_as_it_runs_and_learns(keys: dict[str, object]) -> None:
    spec = small(**keys, drop_path=0.1)
    cost, model = count(spec), lower(spec, device="meta").eval()
    assert sum(p.numel() for p in model.parameters()) == cost.params
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        features = model.forward_features(torch.empty(1, 3, 32, 32, device="meta"))
        model.forward_head(features)
    assert counter.get_total_flops() == 2 * cost.macs
    assert features.shape[1] == model.num_features == 512
    model = lower(spec).train()
    model(torch.randn(4, 3, 32, 32)).square().mean().backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


def kept(model: nn.Module, batch: int) -> int:
    """Bytes of the tensors that autograd keeps for backward, weights and running statistics left out."""
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    found: dict[int, tuple[int, Tensor]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes(), tensor
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        y = model(torch.randn(batch, 3, 64, 64))
    del y
    return sum(nbytes for nbytes, _ in found.values())


@pytest.mark.parametrize("keys", VARIANTS, ids=lambda keys: " ".join(map(str, keys.values())))
def test_activation_bytes_are_what_autograd_keeps(keys: dict[str, object]) -> None:
    spec = small(**{**keys, "image": 64})
    model = lower(spec).train()
    one = kept(model, 3) - kept(model, 2)
    assert count(spec).activation_bytes == pytest.approx(one, rel=0.05)


@pytest.mark.parametrize("variant", ["original", "b", "d", "e", "post"])
def test_any_image_from_8_pixels_up(variant: str) -> None:
    model = lower(small(variant=variant, image=8)).eval()
    for height, width in ((8, 8), (9, 31), (50, 33)):
        maps = model.forward_intermediates(torch.randn(1, 3, height, width), intermediates_only=True)
        assert [map_.shape[2:] for map_ in maps] == [(-(-height // step), -(-width // step)) for step in (4, 8, 16, 32)]


@pytest.mark.parametrize("variant", ["original", "b", "d", "e", "post"])
def test_strides_of_the_stages_are_the_same_in_all_variants(variant: str) -> None:
    info = lower(small(variant=variant), device="meta").feature_info
    assert [(stage["num_chs"], stage["reduction"]) for stage in info] == [(64, 4), (128, 8), (256, 16), (512, 32)]


def test_norm_and_relu_stand_in_front_of_convolutions_only() -> None:
    keys = lower(small(mixers="Conv in stages 1-2, DW in stages 3-4"), device="meta").state_dict()
    fronts = {key.split(".")[1] for key in keys if key.startswith("stages.") and ".bn1." in key}
    assert fronts == {"0", "1"}
    keys = lower(small(mixers="DW", pre="bn"), device="meta")
    assert hasattr(keys.stages[3].blocks[0], "bn1") and not hasattr(keys.stages[3].blocks[0], "act1")


def test_paths_are_what_the_tree_says() -> None:
    keys = set(lower(small(variant="d", mixers="CADAsp b=2 Ch=8"), device="meta").state_dict())
    assert {"stages.0.blocks.0.mixer.bank.weight", "stages.3.blocks.0.shortcut.conv.weight"} <= keys


def test_default_filter_and_depths() -> None:
    assert str(small(variant="e").family.model_dump()["filter"]["type"]) == "DW"
    assert network(size=101).family.depths == (3, 4, 23, 3)
    assert isinstance(network(depths=[1, 2]).family, ResNet) and len(network(depths=[1, 2]).family.mixers) == 2


@pytest.mark.parametrize(
    ("keys", "place", "code", "words"),
    [
        ({"variant": "b", "mixers": "attention Ch=8"}, "mixers", "MX202", "attention cannot stride"),
        ({"variant": "d", "filter_average": "true"}, "filter_average", "MX102", "no filter to average for"),
        ({"variant": "b", "filter": "avg"}, "filter", "MX102", "no place for a filter"),
        ({"variant": "e", "filter": "attention"}, "filter", "MX202", "attention cannot stride"),
        ({"variant": "e", "filter": "CADAsp Ch=48"}, "filter", "MX203", "Ch=48 does not divide"),
        ({"variant": "e", "filter": "DAsp"}, "filter", "MX204", "maps of several sizes"),
        ({"stem_mixer": "DW"}, "stem_mixer", "MX102", "no place for a mixer"),
        ({"variant": "d", "mixers": "CADA Ch=24"}, "mixers", "MX203", "Ch=24 does not divide 16 channels"),
        ({"variant": "post", "mixers": "DA Ch=8"}, "mixers", "MX204", "weights for a height of"),
        ({"mixers": "CADA ca=4"}, "mixers", "MX102", "4"),
    ],
)
def test_what_cannot_be_is_said(keys: dict[str, object], place: str, code: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        small(**keys)
    problem = caught.value.problems[0]
    assert problem.code == code and words in problem.what, problem
    assert problem.where[0] == place


def test_a_mixer_in_the_stem_is_told_its_place() -> None:
    spec = small(variant="d", stem_mixer="DA b=2 Ch=4")
    mixer = spec.family.stem_mixer
    assert (mixer.height, mixer.width) == (16, 16)
    assert lower(spec, device="meta").stem.conv2.weight.shape == (1, 4, 16, 16)


def test_compiles_in_one_graph_and_exports() -> None:
    torch.manual_seed(0)
    spec = small(depths=[1, 1], variant="d", mixers="CADAsp b=2 agg=3 Ch=8")
    model, x = lower(spec).eval(), torch.randn(2, 3, 32, 32)
    expected = model(x)
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="aot_eager")(x), expected)
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), expected)


def test_maps_learnt_by_position_refuse_another_image() -> None:
    spec = small(variant="d", mixers="DA Ch=8")
    found = [problem for problem, _ in verify(spec.family, spec.grid(64))]
    assert found and {problem.code for problem in found} == {"MX204"}
    assert not list(verify(spec.family, spec.grid(32)))


def test_san_counts_as_it_runs() -> None:
    spec = network(family="san", depths=[1, 1], dims=[32, 64], image=32, mixers="SAN k=3")
    cost, model = count(spec), lower(spec)
    assert sum(p.numel() for p in model.parameters()) == cost.params
    model.set_grad_checkpointing()
    model(torch.randn(2, 3, 32, 32)).sum().backward()
    model = lower(spec, device="meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, 32, 32, device="meta"))
    assert counter.get_total_flops() == 2 * cost.macs
