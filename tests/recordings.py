"""Our operators and networks beside outputs and gradients recorded from the official implementations."""

from __future__ import annotations

import ast
from pathlib import Path

import torch
from deviation import Errors, State, backward, compared, gradients, relative, worst
from safetensors import safe_open
from torch import Tensor, nn

from mixspec.compiler.families.metaformer import Block
from mixspec.compiler.grid import Grid
from mixspec.compiler.head import Classifier
from mixspec.compiler.heads.mlp import MlpHead
from mixspec.compiler.layer import Layer
from mixspec.compiler.lower import lower, lower_layer
from mixspec.compiler.mixers.attention import Attention
from mixspec.compiler.mixers.hb import Hb
from mixspec.compiler.mixers.hpx import Hpx
from mixspec.compiler.mixers.hyena import Hyena
from mixspec.compiler.mixers.sepconv import SepConv
from mixspec.compiler.mlps.mlp import Mlp
from mixspec.compiler.norms.layernorm import LayerNorm
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import resolve
from mixspec.zoo.ports import cvt, hyenapixel, localvit
from mixspec.zoo.ports._layout import Layout

FIXTURES = Path(__file__).parent / "fixtures"
LARGE = Path(__file__).parents[2] / "shared" / "fixtures"
"""Recordings too large for the repository."""


def recorded(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors of a recording."""
    with safe_open(path, "pt") as file:
        return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def under(prefix: str, tensors: State) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


# Operators

AT = Grid(7, 7, 16)
HPX = Hpx(kernel=13, embedding=16, hidden=32)
BLOCK = Block(HPX, Mlp(activation="star_relu", bias=False), LayerNorm(bias=False), res_scale=True)
OPERATORS: dict[str, tuple[Layer, Grid, Layout]] = {
    "hpx_op": (HPX, AT, hyenapixel.HPX),
    "hb_op": (Hb(length=49, embedding=8, hidden=16), AT, hyenapixel.HYENA),
    "hyena_safari_original": (Hyena(length=49, embedding=8, hidden=16), AT, hyenapixel.SAFARI),
    "sepconv_op": (SepConv(), AT, hyenapixel.SEPCONV),
    "attention_op": (Attention(), Grid(7, 7, 64), hyenapixel.ATTENTION),
    "mlp_head": (Classifier(MlpHead(), 10, 0.0), Grid(1, 1, 64), hyenapixel.HEAD),
    "metaformer_block_hpx": (BLOCK, AT, hyenapixel.BLOCK),
}
SHARED_SINES = ("filter.mlp.sin1.freq", "filter.mlp.sin2.freq", "filter.mlp.sin3.freq")


def operator_errors(name: str) -> Errors:
    """An operator against a recording in channels-last layout."""
    layer, at, layout = OPERATORS[name]
    _, data = recorded(FIXTURES / f"{name}.pert.safetensors")
    module = lower_layer(layer, at)
    if name == "mlp_head":  # the recording begins behind the norm
        module.norm = nn.Identity()
    module.load_state_dict(layout.ours(under("sd/", data), module.state_dict()))
    x = data["x"].clone().requires_grad_()
    if x.dim() == 2:
        y = module(x[:, :, None, None])
    else:
        image = x if x.dim() == 4 else x.unflatten(1, (7, 7))
        y = module(image.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).reshape(x.shape)
    backward(y)
    found = gradients(module)
    if name == "hyena_safari_original":  # its sines share their frequencies
        found[SHARED_SINES[0]] = sum((found.pop(path) for path in SHARED_SINES), torch.zeros(()))
    expected = layout.ours(under("grad/", data), found)
    return compared(y, data["y"], x.grad, data["dx"], worst(found, expected))


# Networks

LOCALVIT = {"mini_dw": ("DW bias=true", localvit.DW), "mini_ddw": ("DDW", localvit.DDW)}


def localvit_errors(name: str) -> Errors:
    """A depth-wise network against its recording; the released stages end behind the merging that opens our next."""
    header, data = recorded(LARGE / f"{name}.safetensors")
    config, (mixer, layout) = ast.literal_eval(header["cfg"]), LOCALVIT[name]
    dims = [config["embed_dim"] << stage for stage in range(4)]
    text = f"family: swin\ndepths: {config['depths']}\ndims: {dims}\nmixers: {mixer}\nblock: conv\n"
    model = lower(resolve(parse(f"name: x\n{text}classes: {config['num_classes']}\nimage: {header['img']}\n")))
    assert sum(weight.numel() for weight in model.parameters()) == int(header["params"])
    model.load_state_dict(layout.ours(under("sd.", data), model.state_dict()))
    x = data["x"].requires_grad_()
    with torch.no_grad():
        maps = model.eval().forward_intermediates(x, intermediates_only=True)
        merged = [model.stages[index + 1].downsample(y) for index, y in enumerate(maps[:-1])]
    features = (y.flatten(2).transpose(1, 2) for y in (*merged, maps[-1]))
    y = model(x)
    y.square().sum().backward()
    assert x.grad is not None
    return {
        "output": relative(y.detach(), data["y_eval"]),
        "features": max(relative(y, data[f"feat.{index}"]) for index, y in enumerate(features)),
        "input gradient": relative(x.grad, data["grad_x"]),
        "training output": relative(model.train()(x).detach(), data["y_train"]),
    }


CVT = "family: cvt\nimage: [40, 56]\nclasses: 5\ndepths: [1, 1, 2]\ndims: [8, 16, 24]\nmixers: ConvAttention Ch=8\n"


def cvt_errors() -> Errors:
    """CvT against its recording."""
    _, data = recorded(FIXTURES / "cvt.pert.safetensors")
    model = lower(resolve(parse(f"name: x\n{CVT}"))).eval()
    model.load_state_dict(cvt.LAYOUT.ours(under("sd/", data), model.state_dict()))
    x = data["x"].requires_grad_()
    y = model(x)
    backward(y)
    found = gradients(model)
    expected = {cvt.LAYOUT.name(key): value for key, value in under("grad/", data).items()}
    return compared(y, data["y"], x.grad, data["dx"], worst({key: found[key] for key in expected}, expected))
