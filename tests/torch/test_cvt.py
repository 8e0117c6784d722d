"""CvT and ATC: counts of variants, what autograd keeps, and the class token's way through the network."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from small import changed

from mixspec.compiler import catalogue
from mixspec.compiler.cost import count
from mixspec.compiler.errors import SpecError
from mixspec.compiler.lower import lower
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve

TINY = """\
name: tiny
family: cvt
image: 32
classes: 5
depths: [1, 1, 2]
dims: [8, 16, 32]
mixers: ConvAttention Ch=8
"""


def network(name: str) -> Network:
    return resolve(catalogue.load(name))


def tiny(*lines: str) -> Network:
    return resolve(parse(changed(TINY, *lines)))


@pytest.mark.parametrize(
    "lines, params",
    [
        (("depths: [1, 1, 1]", "mixers: ConvAttention proj=residual", "mlps: ConvFF", "class_token: false"), 1_998_116),
        (("depths: [1, 2, 10]",), 19_650_980),
        (("depths: [1, 2, 10]", "classes: 1000"), 19_997_480),
    ],
)
def test_counts_of_variants(lines: tuple[str, ...], params: int) -> None:
    """ATC as its words have it, with no MLP left and no class token; CvT-13 with either classifier."""
    own = ("dims: [64, 192, 384]", "mixers: ConvAttention", "classes: 100")
    assert count(resolve(parse(changed(changed(TINY, *own), *lines)))).params == params


def kept_bytes(net: Network) -> int:
    model, total, seen = lower(net), 0, set()
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal total
        storage = tensor.untyped_storage()
        if tensor.dim() > 1 and storage.data_ptr() not in weights | seen:
            seen.add(storage.data_ptr())
            total += storage.nbytes()
            alive.append(tensor)
        return tensor

    alive: list[torch.Tensor] = []
    x = torch.randn(4, 3, net.at.h, net.at.w)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(x).sum()
    return total // 4


@pytest.mark.parametrize("name", ["atc3", "atc3_res", "cvt3_32"])
def test_activation_bytes(name: str) -> None:
    net = network(name)
    assert count(net).activation_bytes == pytest.approx(kept_bytes(net), rel=0.05)


ATC = "mixers: ConvAttention Ch=8 proj=residual"
FF = "mlps: ConvFF in stages 1-2, MLP in stage 3"
# the head reads the token alone, so that no one reads what the last block's map asks for
UNREAD = ["q_conv.weight", "q_norm.weight", "q_norm.bias"]


@pytest.mark.parametrize(
    "lines, unread",
    [
        ((), UNREAD),
        ((ATC, FF), UNREAD),
        ((ATC, FF, "embedding: residual"), UNREAD),
        ((ATC, "mlps: ConvFF", "class_token: false"), []),
        (("mixers: SepConv in stages 1-2, attention Ch=8 in stage 3",), []),
    ],
)
def test_learns_in_every_weight(lines: tuple[str, ...], unread: list[str]) -> None:
    torch.manual_seed(0)
    model = lower(tiny(*lines))
    model(torch.randn(2, 3, 32, 48)).square().sum().backward()  # a map that is no square
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == [f"stages.2.blocks.1.mixer.{name}" for name in unread]


def test_class_token_reads_the_map_and_the_map_reads_it() -> None:
    torch.manual_seed(0)
    model = lower(tiny(), dtype=torch.float64).eval()
    x = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    row = model.forward_features(x)
    last, maps = model.forward_intermediates(x)
    assert row.shape == (1, 32, 1, 1 + 2 * 2)
    assert [tuple(m.shape[1:]) for m in maps] == [(8, 8, 8), (16, 4, 4), (32, 2, 2)]
    assert torch.equal(last, row)
    torch.testing.assert_close(row[..., 1:].squeeze(2).unflatten(2, (2, 2)), maps[-1])
    torch.testing.assert_close(model(x), model.head.fc(model.head.norm(row[:, :, 0, 0])))
    with torch.no_grad():
        model.stages[2].token.add_(1.0 + torch.arange(32.0, dtype=torch.float64))
    assert not torch.allclose(model.forward_intermediates(x)[0], last)


def test_convolutional_attention_with_a_token_is_the_naive_sum() -> None:
    """One block's mixer spelt out: convolutions on the map, linear maps and softmax on token and map."""
    torch.manual_seed(0)
    model = lower(tiny("mixers: ConvAttention Ch=(8,16,16) proj=residual"), dtype=torch.float64).eval()
    m = model.stages[2].blocks[0].mixer
    row = torch.randn(1, 32, 1, 1 + 12, dtype=torch.float64)
    token, x = row[0, :, 0, 0], row[..., 1:].reshape(1, 32, 3, 4)
    rows = {}
    for name in "qkv":
        y = getattr(m, f"{name}_norm")(getattr(m, f"{name}_conv")(x))
        short = x if name == "q" else torch.nn.functional.avg_pool2d(x, 2, ceil_mode=True)
        linear, flat = getattr(m, f"{name}_linear"), [token, *y[0].flatten(1).T]
        rows[name] = torch.stack(
            [linear(t[None])[0] + s for t, s in zip(flat, [token, *short[0].flatten(1).T], strict=True)]
        )
    heads = [
        torch.softmax(rows["q"][:, s] @ rows["k"][:, s].T / 32**0.5, dim=1) @ rows["v"][:, s]
        for s in (slice(0, 16), slice(16, 32))
    ]
    expected = torch.cat(heads, dim=1) @ m.proj.weight.T + m.proj.bias
    torch.testing.assert_close(m(row, (3, 4))[0, :, 0].T, expected)


def test_checkpointing_changes_nothing() -> None:
    torch.manual_seed(0)
    model = lower(tiny(ATC, FF), dtype=torch.float64).eval()
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    gradients = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        gradients.append(torch.autograd.grad(model(x).square().sum(), list(model.parameters())))
    torch.testing.assert_close(*gradients)


def test_exports_with_its_token() -> None:
    torch.manual_seed(0)
    model = lower(tiny(ATC, FF)).eval()
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(torch.export.export(model, (x,)).module()(x), model(x))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("family", ["cvt", "isotropic"])
def test_compiles_in_one_graph(family: str, batch: int) -> None:
    torch.manual_seed(0)
    fields = "depths: [1, 1, 1]\ndims: [64, 64, 64]" if family == "cvt" else "depths: [2]\nwidth: 64"
    model = lower(resolve(parse(f"name: x\nfamily: {family}\nimage: 64\nclasses: 5\n{fields}\n"))).eval()
    x = torch.randn(batch, 3, 64, 64)
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(model, fullgraph=True, backend="aot_eager")(x), model(x))


def test_copies_give_the_same() -> None:
    model, x = lower(tiny()).eval(), torch.randn(1, 3, 32, 32)
    assert torch.equal(copy.deepcopy(model)(x), model(x))
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))


def test_pruning_the_token_stage_leaves_maps() -> None:
    model = lower(tiny()).eval()
    model.prune_intermediate_layers([1])
    assert model(torch.randn(1, 3, 32, 32)).shape == (1, 16)


def test_a_new_classifier_reads_the_token() -> None:
    model, x = lower(tiny()).eval(), torch.randn(2, 3, 32, 32)
    model.reset_classifier(7)
    assert model(x).shape == (2, 7)
    model.reset_classifier(0)
    torch.testing.assert_close(model(x), model.head.norm(model.forward_features(x)[:, :, 0, 0]))


def test_token_is_exempt_from_weight_decay() -> None:
    assert lower(tiny(), device="meta").no_weight_decay() == {"stages.2.token"}


@pytest.mark.parametrize(
    "lines, complaint",
    [
        (("mixers: ConvAttention Ch=8 in stages 1-2, SepConv in stage 3",), "SepConv cannot mix a class token"),
        (("mlps: ConvFF",), "stage 3: ConvFF cannot take a class token (MLP there, or class_token: false)"),
        (("mixers: ConvAttention Ch=(8,8,5)",), "7:31: MX203 stage 3: Ch=5 does not divide 32 channels"),
        (("dims: [8, 16]",), "3 depths and 2 dims"),
    ],
)
def test_complaints(lines: tuple[str, ...], complaint: str) -> None:
    with pytest.raises(SpecError) as caught:
        tiny(*lines)
    assert complaint in str(caught.value)
