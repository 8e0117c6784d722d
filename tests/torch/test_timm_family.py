"""Models of timm by name: their own weights and forward, exact costs without a real run, modules exchanged."""

from __future__ import annotations

import subprocess
import sys

import pytest
import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mixspec.compiler.cost import count
from mixspec.compiler.counters import counted
from mixspec.compiler.errors import SpecError
from mixspec.compiler.foreign import Exchanged, map_of, size_of
from mixspec.compiler.grid import Grid
from mixspec.compiler.lower import lower
from mixspec.compiler.parse import parse
from mixspec.compiler.parts import Identity
from mixspec.compiler.resolve import Network, resolve

SMALL = "family: timm\nname: x\nmodel: twins_svt_small\nimage: 64\nclasses: 7\n"


def made(text: str) -> Network:
    return resolve(parse(text))


def spec(model: str, more: str = "", image: int = 224) -> Network:
    return made(f"name: x\nfamily: timm\nmodel: {model}\nimage: {image}\n{more}")


# params, MACs, elementwise counter: the rows of arXiv:2106.04263, Table 13
ROWS = {
    "volo": ("volo_d1_224", "", 26_632_040, 6_918_741_504, 6_967_948_968),
    "volo, local attention": (
        "volo_d1_224",
        "replace: {network.0.*.attn: window table=false qkv_bias=false}",
        26_551_760,
        7_123_610_112,
        7_172_977_512,
    ),
    "volo, depth-wise": (
        "volo_d1_224",
        "replace: {network.0.*.attn: DW bias=true}\nblock: conv",
        26_299_088,
        6_862_895_616,
        6_916_157_928,
    ),
    "svt, depth-wise": (
        "twins_svt_small",
        "replace: {'blocks.*.[02468].attn': DW bias=true, 'blocks.*.[02468].norm1': identity}\nblock: conv",
        22_440_680,
        2_666_638_848,
        2_700_276_584,
    ),
}


@pytest.mark.parametrize(("model", "more", "params", "macs", "elementwise"), ROWS.values(), ids=ROWS.keys())
def test_counts_the_published_rows(model, more, params, macs, elementwise):
    network = spec(model, more)
    cost = count(network)
    assert (cost.params, cost.macs, counted(network, "elementwise")) == (params, macs, elementwise)
    assert sum(p.numel() for p in lower(network, device="meta").parameters()) == params


def test_is_timm_s_model_with_timm_s_start():
    torch.manual_seed(3)
    mine = lower(made(SMALL))
    torch.manual_seed(3)
    theirs = timm.create_model("twins_svt_small", num_classes=7)
    x = torch.randn(1, 3, 64, 64)
    assert type(mine) is type(theirs)
    assert mine.state_dict().keys() == theirs.state_dict().keys()
    with torch.no_grad():
        assert torch.equal(mine.eval()(x), theirs.eval()(x))


def test_counts_what_a_real_run_shows():
    network = made(SMALL)
    model = lower(network).eval()
    for part in model.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = False
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 64, 64))
    assert counter.get_total_flops() == 2 * count(network).macs
    assert network.family.out(network.at) == Grid(1, 1, 7)


def test_runs_and_learns_with_modules_exchanged():
    network = made(SMALL + "replace: {'blocks.*.[02468].attn': IDynamic G=8 k=3}\n")
    model = lower(network)
    exchanged = {path for path, part in model.named_modules() if isinstance(part, Exchanged)}
    assert exchanged == {f"blocks.{s}.{b}.attn" for s, depth in enumerate((2, 2, 10, 4)) for b in range(0, depth, 2)}
    assert all(p.isfinite().all() for p in model.state_dict().values())
    y = model(torch.randn(2, 3, 64, 64))
    y.square().sum().backward()
    inside = [p for path, p in model.named_parameters() if path.startswith(tuple(exchanged))]
    assert inside and all(p.grad is not None and p.grad.isfinite().all() for p in inside)


@pytest.mark.parametrize("last", [True, False])
def test_layouts_are_adapted(last):
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 6, 3, padding=1)
    module, x = Exchanged(conv, last, Identity(), Grid(4, 5, 6)), torch.randn(2, 6, 4, 5)
    given = x.permute(0, 2, 3, 1) if last else x
    y = module(given)
    torch.testing.assert_close(y.permute(0, 3, 1, 2) if last else y, conv(x))
    tokens = x.flatten(2).transpose(1, 2)
    torch.testing.assert_close(module(tokens, (4, 5)), conv(x).flatten(2).transpose(1, 2))
    part = nn.Linear(6, 6) if last else nn.Conv2d(6, 6, 1)
    assert map_of(part, (given,)) == (4, 5, 6, last)


def test_tokens_without_a_size_form_a_square():
    assert size_of(torch.zeros(1, 49, 8), ()) == (7, 7)
    with pytest.raises(ValueError, match="50 tokens are no square map"):
        size_of(torch.zeros(1, 50, 8), ())


WRONG = {
    "model": (spec, ("twins_svt_smal",), r"MX104 timm has no model 'twins_svt_smal' \(.*twins_svt_small"),
    "module": (spec, ("twins_svt_small", "replace: {blocks.*.attn: DW}"), r"MX104 twins_svt_small has no module"),
    "grid": (spec, ("twins_svt_small", "replace: {blocks.0.0.attn: IDynamic G=48}"), r"MX203 G=48 does not divide 64"),
    "option": (spec, ("twins_svt_small", "options: {colour: 3}"), r"MX102 timm refuses to make twins_svt_small"),
    "size": (spec, ("vit_tiny_patch16_224", "", 64), r"MX201 vit_tiny_patch16_224 does not run on 64x64"),
    "class token": (
        spec,
        ("vit_tiny_patch16_224", "replace: {blocks.0.attn: DW}"),
        r"MX201 .*197 tokens are no square",
    ),
}


@pytest.mark.parametrize(("make", "given", "words"), WRONG.values(), ids=WRONG.keys())
def test_says_what_is_wrong_when_it_is_counted(make, given, words):
    network = make(*given)
    with pytest.raises(SpecError, match=words):
        count(network)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("replace: [DW]", "MX102"),
        ("replace: {a: DWW}", "MX104 unknown mixer 'DWW'"),
        ("options: {a: [1]}", "no single value"),
    ],
)
def test_says_what_is_wrong_when_it_is_parsed(more, words):
    with pytest.raises(SpecError, match=words):
        parse(SMALL + more)


@pytest.mark.parametrize("key", ["pretrained", "checkpoint_path", "num_classes"])
def test_refuses_options_that_read_files_or_repeat_keys(key):
    with pytest.raises(SpecError, match=f"MX102 the option {key} cannot be given"):
        made(SMALL + f"options: {{{key}: 1}}\n")


def test_canonical_form_comes_back():
    network = made(SMALL + "replace: {'blocks.0.0.attn': DW k=5}\noptions: {drop_rate: 0.0}\n")
    again = network.canonical()
    assert again["replace"] == {
        "blocks.0.0.attn": {"type": "DW", "kernel": 5, "head_channels": 1, "bias": False, "stride": 1}
    }
    fields = {key: value for key, value in again.items() if key not in ("family", "image")}
    assert type(network.family).model_validate(fields).canonical() == network.family.canonical()


def test_is_resolved_without_torch():
    code = (
        "import sys; from mixspec.compiler.parse import parse; from mixspec.compiler.resolve import resolve;"
        "resolve(parse('name: x\\nfamily: timm\\nmodel: resnet18\\nreplace: {layer1.*.conv1: DW}'));"
        "assert not {'torch', 'timm'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
