"""Operators against outputs and gradients recorded from the official implementations, float32 on CPU.

The recordings hold inputs ``x`` (channels last), weights ``sd/...``, outputs ``y``, and the gradients ``dx`` and
``grad/...`` of ``sum(y * cos(arange(y.numel())))``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mixspec.compiler.families.metaformer import Block
from mixspec.compiler.grid import Grid
from mixspec.compiler.head import Classifier
from mixspec.compiler.heads.mlp import MlpHead
from mixspec.compiler.lower import lower_layer
from mixspec.compiler.mixers.attention import Attention
from mixspec.compiler.mixers.hb import Hb
from mixspec.compiler.mixers.hpx import Hpx
from mixspec.compiler.mixers.hyena import Hyena
from mixspec.compiler.mixers.sepconv import SepConv
from mixspec.compiler.mlps.mlp import Mlp
from mixspec.compiler.norms.layernorm import LayerNorm

FIXTURES = Path(__file__).parents[1] / "fixtures"
AT = Grid(7, 7, 16)

HPX = {
    "pointwise_conv": "pointwise",
    "depthwise_conv": "depthwise",
    "long_conv.z": "positions",
    "long_conv.bias": "skip",
    "long_conv.distance_map": "filter.distance",
    "long_conv.deltas": "filter.decay",
    "long_conv.shift": "filter.shift",
    "long_conv.implicit_filter.0": "filter.mlp.fc1",
    "long_conv.implicit_filter.1": "filter.mlp.sin1",
    "long_conv.implicit_filter.2": "filter.mlp.fc2",
    "long_conv.implicit_filter.3": "filter.mlp.sin2",
    "long_conv.implicit_filter.4": "filter.mlp.fc3",
    "out_proj": "project",
}
HYENA = {
    "in_proj": "expand",
    "short_filter": "short",
    "filter_fn.bias": "skip",
    "filter_fn.pos_emb.z": "positions",
    "filter_fn.pos_emb.t": "filter.time",
    "filter_fn.modulation.deltas": "filter.decay",
    "filter_fn.implicit_filter.0": "filter.mlp.fc1",
    "filter_fn.implicit_filter.1": "filter.mlp.sin1",
    "filter_fn.implicit_filter.2": "filter.mlp.fc2",
    "filter_fn.implicit_filter.3": "filter.mlp.sin2",
    "filter_fn.implicit_filter.4": "filter.mlp.fc3",
    "filter_fn.implicit_filter.5": "filter.mlp.sin3",
    "filter_fn.implicit_filter.6": "filter.mlp.fc4",
    "out_proj": "project",
}
SEPCONV = {"pwconv1": "expand", "act1": "act", "dwconv": "spatial", "pwconv2": "project"}
BLOCK = {
    "res_scale1.scale": "scale1",
    "res_scale2.scale": "scale2",
    **{f"token_mixer.{k}": f"mixer.{v}" for k, v in HPX.items()},
}
HEAD = {"norm": "fc1_norm", "fc2": "fc"}

CASES = {
    "hpx_op": (Hpx(kernel=13, embedding=16, hidden=32), AT, HPX),
    "hb_op": (Hb(length=49, embedding=8, hidden=16), AT, HYENA),
    "hyena_safari_original": (Hyena(length=49, embedding=8, hidden=16), AT, {f"m.{k}": v for k, v in HYENA.items()}),
    "sepconv_op": (SepConv(), AT, SEPCONV),
    "attention_op": (Attention(), Grid(7, 7, 64), {}),
    "mlp_head": (Classifier(MlpHead(), 10, 0.0), Grid(1, 1, 64), HEAD),
    "metaformer_block_hpx": (
        Block(
            Hpx(kernel=13, embedding=16, hidden=32),
            Mlp(activation="star_relu", bias=False),
            LayerNorm(bias=False),
            res_scale=True,
        ),
        AT,
        BLOCK,
    ),
}
SHARED_SINES = ("filter.mlp.sin1.freq", "filter.mlp.sin2.freq", "filter.mlp.sin3.freq")


def renamed(name: str, keys: dict[str, str]) -> str:
    """Our name of an official parameter: the longest mapped prefix is exchanged."""
    prefix = max((key for key in keys if name == key or name.startswith(key + ".")), key=len, default=None)
    return name if prefix is None else keys[prefix] + name.removeprefix(prefix)


def load(module: torch.nn.Module, data: dict[str, torch.Tensor], keys: dict[str, str]) -> set[str]:
    """Fill the module from the recording, reshaping where only axes of size one differ; returns the names filled."""
    own = module.state_dict()
    given = {renamed(key[3:], keys): value for key, value in data.items() if key.startswith("sd/")}
    module.load_state_dict({**own, **{key: value.view_as(own[key]) for key, value in given.items()}})
    return set(given)


def run(module: torch.nn.Module, data: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Output and input in the recorded layout, after backward."""
    x = data["x"].clone().requires_grad_()
    if x.dim() == 2:
        y = module(x[:, :, None, None])
    else:
        image = x if x.dim() == 4 else x.unflatten(1, (7, 7))
        y = module(image.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).reshape(x.shape)
    (y * torch.arange(y.numel()).view_as(y).cos()).sum().backward()
    return y.detach(), x


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest deviation, relative to the largest recorded value."""
    return float((ours.view_as(theirs) - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("name", CASES)
def test_output_and_all_gradients(name):
    layer, at, keys = CASES[name]
    data = load_file(FIXTURES / f"{name}.pert.safetensors")
    module = lower_layer(layer, at)
    filled = load(module, data, keys)
    untouched = set(module.state_dict()) - filled - ({"norm.weight", "norm.bias"} if name == "mlp_head" else set())
    assert not untouched
    if name == "mlp_head":  # the recording begins behind the norm
        module.norm = torch.nn.Identity()
    y, x = run(module, data)
    assert distance(y, data["y"]) < 1e-5
    assert distance(x.grad, data["dx"]) < 1e-5
    grads = {path: weight.grad for path, weight in module.named_parameters() if weight.grad is not None}
    if name == "hyena_safari_original":  # its sines share their frequencies
        grads[SHARED_SINES[0]] = sum(grads.pop(path) for path in SHARED_SINES)
    recorded = {renamed(key[5:], keys): value for key, value in data.items() if key.startswith("grad/")}
    assert set(recorded) == set(grads)
    worst = {path: distance(grads[path], value) for path, value in recorded.items()}
    assert max(worst.values()) < 1e-5, worst
