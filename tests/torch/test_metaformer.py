"""The MetaFormer family: equal to timm's models with the same weights, and what a spec may change about it."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.graph import saved_tensors_hooks

from mixspec.compiler.cost import count
from mixspec.compiler.errors import SpecError
from mixspec.compiler.lower import lower
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve


def network(text: str, image: int = 64) -> Network:
    return resolve(parse(f"name: m\nfamily: metaformer\nimage: {image}\n{text}"))


def small(text: str, image: int = 32) -> Network:
    return network(f"depths: [1, 1, 2, 1]\ndims: [8, 16, 24, 32]\nclasses: 5\n{text}", image)


def test_drop_path_grows_linearly_over_all_blocks() -> None:
    model = lower(small("mixers: identity\ndrop_path: 0.2\n"))
    rates = [block.drop_path.rate for stage in model.stages for block in stage.blocks]
    assert rates == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])


def test_residuals_are_scaled_from_the_third_stage_on() -> None:
    scaled = {
        name.split(".")[1]
        for name in lower(small("mixers: identity\n"), device="meta").state_dict()
        if "scale1" in name
    }
    assert scaled == {"2", "3"}
    three = resolve(
        parse("name: m\nfamily: metaformer\ndepths: [1, 1, 1]\ndims: [8, 8, 8]\nmixers: identity\nimage: 32\n")
    )
    assert three.family.res_scale == (False, False, True)  # type: ignore[attr-defined]
    off = small("mixers: identity\nres_scale: [false, false, false, false]\n")
    assert count(small("mixers: identity\n")).params - count(off).params == 2 * (2 * 24 + 32)


def test_scales_multiply_the_residual() -> None:
    model, x = lower(small("mixers: identity\n")).eval(), torch.randn(2, 24, 4, 4)
    block = model.stages[2].blocks[0]
    with torch.no_grad():
        block.scale1.copy_(torch.rand(24))
        block.scale2.copy_(torch.rand(24))
        y = x * block.scale1[:, None, None] + block.norm1(x)
        torch.testing.assert_close(block(x), y * block.scale2[:, None, None] + block.mlp(block.norm2(y)))


def test_small_stem_keeps_the_resolution() -> None:
    model = lower(small("mixers: DW k=3\nstem: small\n")).eval()
    shapes = [
        tuple(each.shape[1:])
        for each in model.forward_intermediates(torch.randn(1, 3, 32, 32), intermediates_only=True)
    ]
    assert shapes == [(8, 32, 32), (16, 16, 16), (24, 8, 8), (32, 4, 4)]
    assert [info["reduction"] for info in model.feature_info] == [1, 2, 4, 8]


@pytest.mark.parametrize(
    "more", ["", "norm: GroupNorm bias=false\n", "norm: BatchNorm\n", "head: AttentionPool Ch=8\n"]
)
@pytest.mark.parametrize("mixers", ["SepConv", "Hpx", "attention Ch=8"])
def test_activation_bytes_are_what_autograd_keeps(mixers: str, more: str) -> None:
    net = small(f"mixers: {mixers}\n{more}", 64)
    model = lower(net).train()
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}

    def kept(batch: int) -> int:
        storages: dict[int, torch.Tensor] = {}
        with saved_tensors_hooks(lambda t: storages.setdefault(t.untyped_storage().data_ptr(), t), lambda t: t):
            y = model(torch.randn(batch, 3, 64, 64))
        total = sum(t.untyped_storage().nbytes() for key, t in storages.items() if key not in own)
        del y
        return total

    measured = 2 * kept(2) - kept(3)
    assert abs(count(net).activation_bytes - measured) < 0.01 * measured


def test_defaults_follow_the_image_of_the_spec() -> None:
    assert [mixer.kernel for mixer in network("size: s4\nmixers: Hpx\n", 224).family.mixers] == [111, 55, 27, 13]  # type: ignore[attr-defined]
    assert [mixer.kernel for mixer in network("size: s4\nmixers: Hpx\n", 384).family.mixers] == [191, 95, 47, 23]  # type: ignore[attr-defined]
    assert [mixer.length for mixer in network("size: s4\nmixers: Hb\n", 224).family.mixers] == [3136, 784, 196, 49]  # type: ignore[attr-defined]


@pytest.mark.parametrize("mixers", ["Hpx", "Hb", "Hyena", "Hpx filter=separable", "attention Ch=8", "pooling"])
def test_runs_at_other_sizes_than_its_own(mixers: str) -> None:
    model = lower(small(f"mixers: {mixers}\n")).eval()
    for size in ((32, 32), (48, 40), (20, 64)):
        assert model(torch.randn(1, 3, *size)).isfinite().all()


@pytest.mark.parametrize(("registers", "params"), [(0, 21_796_204), (4, 21_798_252)])
def test_attention_pooling_counts_as_released(registers: int, params: int) -> None:
    net = network(f"size: s12\nmixers: Hpx\nhead: AttentionPool registers={registers}\n", 224)
    assert count(net).params == params


def test_attention_pooling_is_timms() -> None:
    from timm.layers.attention_pool import AttentionPoolLatent

    model = lower(small("mixers: identity\nhead: AttentionPool registers=3 Ch=8\n"))
    pool = model.head.pool
    theirs = AttentionPoolLatent(32, num_heads=4, norm_layer=torch.nn.LayerNorm)
    with torch.no_grad():
        for weight in pool.parameters():
            weight.add_(0.3 * torch.randn_like(weight))
    names = {
        "latent": "latent",
        "q": "q",
        "kv": "kv",
        "proj": "project",
        "norm": "norm",
        "mlp.fc1": "fc1",
        "mlp.fc2": "fc2",
    }
    own, state = pool.state_dict(), theirs.state_dict()
    for name in state:
        stem = max((key for key in names if name == key or name.startswith(f"{key}.")), key=len)
        state[name] = own[names[stem] + name.removeprefix(stem)].view_as(state[name])
    theirs.load_state_dict(state)
    x = torch.randn(2, 32, 3, 5)
    tokens = torch.cat((x.flatten(2).transpose(1, 2), pool.registers.expand(2, -1, -1)), 1)
    torch.testing.assert_close(pool(x), theirs(pool.tokens_norm(tokens)))


def test_registers_and_query_learn() -> None:
    model = lower(small("mixers: identity\nhead: AttentionPool registers=2 Ch=8\n"))
    model(torch.randn(2, 3, 32, 32)).square().sum().backward()
    assert all(
        weight.grad is not None and weight.grad.abs().sum() > 0
        for weight in model.head.pool.parameters()
        if weight.dim() > 1
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("mixers: SepConv\n", "MX103 depths and dims are missing"),
        ("depths: [1, 1]\ndims: [8, 8, 8]\nmixers: SepConv\n", "MX204 2 depths and 3 dims"),
        ("size: s18\nmixers: attention Ch=24\n", "MX203 stages? 1.*: Ch=24 does not divide 64 channels"),
    ],
)
def test_refuses(text: str, complaint: str) -> None:
    with pytest.raises(SpecError, match=complaint):
        network(text)
