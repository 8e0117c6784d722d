"""Weights survive edits: what leaves the function alone changes no output, and everything else is told by path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import twins
from torch import Tensor
from typer.testing import CliRunner

from mixspec.cli import app
from mixspec.compiler.backbone import Backbone
from mixspec.compiler.resolve import Network
from mixspec.zoo.fates import Fate, lines
from mixspec.zoo.load import fresh
from mixspec.zoo.transfer import Transferred, transfer
from mixspec.zoo.weights import load, save

META = "family: metaformer\nimage: 32\nclasses: 5\nstem: half\ndims: [8, 16]\nhead: linear\n"
SMALL = "image: 32\nclasses: 5\n"
FRAMES = {
    "metaformer, CADAsp": META + "depths: [1, {depth}]\nmixers: CADAsp b=2 agg=3 Ch=4\n",
    "metaformer, Hpx": META + "depths: [1, {depth}]\nmixers: Hpx E=4 F=4\n",
    "metaformer, pooling": META + "depths: [1, {depth}]\nmixers: pooling\n",
    "metaformer, DW": META + "depths: [1, {depth}]\nmixers: DW k=3\n",
    "convnext": f"family: convnext\n{SMALL}depths: [1, {{depth}}]\ndims: [8, 16]\n",
    "convnext without factors": f"family: convnext\n{SMALL}layer_scale: null\ndepths: [1, {{depth}}]\ndims: [8, 16]\n",
    "swin": f"family: swin\n{SMALL}depths: [1, {{depth}}]\ndims: [16, 32]\nmixers: window w=4 Ch=8\n",
    "swin, DW": f"family: swin\n{SMALL}depths: [1, {{depth}}]\ndims: [16, 32]\nmixers: DW k=3 bias=true\nblock: conv\n",
    "vit": f"family: isotropic\n{SMALL}patch: 8\nwidth: 16\ndepths: [{{depth}}]\nmixers: attention Ch=8 bias=true\n",
    "resnet": f"family: resnet\n{SMALL}variant: d\nstem: small\ndepths: [1, {{depth}}]\nwidth: 8\nmixers: Conv\n",
    "cvt": f"family: cvt\n{SMALL}depths: [1, {{depth}}]\ndims: [8, 16]\nmixers: ConvAttention Ch=8\n",
}
WIDER = {
    name: f"{text}{'mlps' if name == 'cvt' else 'mlp'}: MLP r={{ratio}}\n"
    for name, text in FRAMES.items()
    if name != "resnet"
}


def trained(network: Network, seed: int = 7) -> Backbone:
    """A model whose weights and statistics are all drawn, as after some training."""
    model = fresh(network, seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return model.eval()


def edited(old: str, new: str) -> tuple[Backbone, Transferred]:
    before, after = twins.network(old), twins.network(new)
    model = trained(before)
    return model, transfer(model, before, after)


def outputs(model: Backbone, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model.eval()(x)


def assert_same(model: Backbone, done: Transferred, *size: int) -> None:
    x = torch.randn(2, 3, *size)
    expected = outputs(model, x)
    assert expected.std() > 1e-3
    assert float((outputs(done.model, x) - expected).abs().max()) < 1e-5
    assert done.change is not None and done.change < 1e-5 < done.scale
    assert not done.lost


@pytest.mark.parametrize("name", FRAMES)
def test_a_deeper_stage_changes_nothing(name: str) -> None:
    model, done = edited(FRAMES[name].format(depth=2), FRAMES[name].format(depth=4))
    assert_same(model, done, 32, 32)
    new = [line for line in done.lines if line.fate.what == "new"]
    assert len(new) == 2 and all(line.fate.why == "starts as the identity" for line in new)


@pytest.mark.parametrize("name", ["metaformer, DW", "swin", "convnext", "vit", "resnet", "cvt"])
def test_what_starts_as_an_identity_learns(name: str) -> None:
    _, done = edited(FRAMES[name].format(depth=2), FRAMES[name].format(depth=3))
    block = next(line.path for line in done.lines if line.fate.what == "new")
    done.model.train()(torch.randn(4, 3, 32, 32)).square().sum().backward()
    gradients = [
        weight.grad.abs().max() for weight in done.model.get_submodule(block).parameters() if weight.grad is not None
    ]
    assert max(gradients) > 0


@pytest.mark.parametrize("name", WIDER)
def test_a_wider_mlp_changes_nothing(name: str) -> None:
    model, done = edited(WIDER[name].format(depth=1, ratio=2), WIDER[name].format(depth=1, ratio=3))
    assert_same(model, done, 32, 32)
    assert {line.fate.what for line in done.lines} == {"kept", "widened"}


@pytest.mark.parametrize("name", ["metaformer, DW", "metaformer, CADAsp", "convnext", "swin", "resnet", "cvt"])
def test_another_image_size_changes_nothing(name: str) -> None:
    old = FRAMES[name].format(depth=1)
    model, done = edited(old, old.replace("image: 32", "image: 64"))
    for size in (32, 64):
        assert_same(model, done, size, size)
    assert [(line.path, line.fate.what) for line in done.lines] == [("everything", "kept")]


def test_a_mixer_that_is_added_starts_with_nothing_to_say() -> None:
    old = META + "depths: [1, 2]\nmixers: DW k=3\n"
    new = META + "depths: [1, 3]\nmixers: DW k=3\nblocks: {stages.1.blocks.1: attention Ch=8}\n"
    model, done = edited(old, new)
    assert_same(model, done, 32, 32)
    assert [line.path for line in done.lines if line.fate.what == "new"] == ["stages.1.blocks.1"]
    assert torch.equal(done.model.stages[1].blocks[2].mixer.conv.weight, model.stages[1].blocks[1].mixer.conv.weight)


def test_all_edits_at_once() -> None:
    old = META + "depths: [1, 1]\nmixers: DW k=3\nmlp: MLP r=2\n"
    new = META.replace("32", "48") + "depths: [2, 2]\nmixers: DW k=3\nmlp: MLP r=4\n"
    assert_same(*edited(old, new), 32, 32)


def test_a_larger_kernel_has_a_border_of_zeros() -> None:
    old = META + "depths: [1, 1]\nmixers: SepConv k=3\n"
    model, done = edited(old, old.replace("k=3", "k=7"))
    assert_same(model, done, 32, 32)
    grown = [line for line in done.lines if line.fate.what == "widened"]
    assert len(grown) == 2 and all("zeros around the kernels" in line.fate.why for line in grown)


@pytest.mark.parametrize(
    "text, change, path",
    [
        (FRAMES["metaformer, Hpx"], ("image: 32", "image: 64"), "stages.0.blocks.0.mixer.positions"),
        (FRAMES["swin"], ("w=4", "w=8"), "stages.0.blocks.0.spatial.mixer.table"),
        (FRAMES["vit"], ("image: 32", "image: 64"), "stem.position"),
    ],
    ids=["implicit filters", "windows", "position tables"],
)
def test_what_has_a_size_is_resized(text: str, change: tuple[str, str], path: str) -> None:
    old = text.format(depth=1)
    model, done = edited(old, old.replace(*change))
    assert path in [line.path for line in done.lines if line.fate.what == "resized"] and not done.lost
    back = transfer(done.model, twins.network(old.replace(*change)), twins.network(old))
    kept = {line.path for line in back.lines if line.fate.what == "resized"}
    assert path in kept
    before, after = model.state_dict()[path], back.model.state_dict()[path]
    assert torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1] > 0.8


def test_what_cannot_be_kept_is_said() -> None:
    old = META + "depths: [1, 1]\nmixers: SepConv k=3 in stage 1, attention Ch=8 in stage 2\n"
    new = old.replace("stage 1, attention Ch=8", "stage 1, DW k=3").replace("classes: 5", "classes: 7")
    model, done = edited(old, new)
    lost = {line.path: line.fate for line in done.lost}
    assert lost["stages.1.blocks.0.mixer"] == Fate("re-initialised", "attention Ch=8 is now DW k=3")
    assert {"head.fc.weight", "head.fc.bias"} <= set(lost) or "head.fc" in lost
    assert done.compared == "features" and done.change is not None and done.change > 1e-3
    assert torch.equal(
        done.model.stages[0].blocks[0].mixer.expand.weight, model.stages[0].blocks[0].mixer.expand.weight
    )


def test_a_shallower_stage_drops_blocks() -> None:
    _, done = edited(FRAMES["swin"].format(depth=4), FRAMES["swin"].format(depth=2))
    dropped = [line.path for line in done.lines if line.fate.what == "dropped"]
    assert dropped == ["stages.1.blocks.2", "stages.1.blocks.3"]


def test_other_settings_of_a_mixer_are_told() -> None:
    old = META + "depths: [1, 1]\nmixers: attention Ch=8\n"
    _, done = edited(old, old.replace("Ch=8", "Ch=4"))
    assert not done.lost and done.change is not None and done.change > 1e-5
    assert [line.fate.why for line in done.lines if "mixer" in line.path] == 2 * [
        "attention Ch=8 is now attention Ch=4"
    ]


def test_another_width_is_lost_and_another_family_too() -> None:
    old = META + "depths: [1, 1]\nmixers: DW k=3\n"
    _, done = edited(old, old.replace("dims: [8, 16]", "dims: [8, 24]"))
    assert any(line.fate == Fate("re-initialised", "16x8x3x3 to 24x8x3x3") for line in done.lost)
    _, done = edited(old, FRAMES["resnet"].format(depth=1))
    assert done.lost and not any(line.fate.what == "kept" and "mixer" in line.path for line in done.lines)


def test_a_network_that_is_no_tree_keeps_what_fits() -> None:
    old = "family: timm\nmodel: resnet18\nimage: 64\nclasses: 5\n"
    _, done = edited(old, old.replace("classes: 5", "classes: 7"))
    assert [line.path for line in done.lost] == ["fc.weight", "fc.bias"]
    assert done.compared == "features" and done.change == 0.0


def test_lines_say_no_more_than_they_must() -> None:
    tensors = {name: torch.zeros(2) for name in ("a.b.c", "a.b.d", "a.e", "f")}
    kept = Fate("kept")
    assert [line.path for line in lines(dict.fromkeys(tensors, kept), tensors)] == ["everything"]
    found = lines({**dict.fromkeys(tensors, kept), "a.b.d": Fate("new")}, tensors)
    assert [(line.path, line.fate.what, line.tensors, line.numbers) for line in found] == [
        ("a.b.c", "kept", 1, 2), ("a.b.d", "new", 1, 2), ("a.e", "kept", 1, 2), ("f", "kept", 1, 2),
    ]  # fmt: skip


def test_command(tmp_path: Path) -> None:
    old, new, other = (tmp_path / name for name in ("old.safetensors", "new.yaml", "other.yaml"))
    text = META + "depths: [1, 1]\nmixers: DW k=3\n"
    save(trained(twins.network(text)), old, data={"name": "x", "classes": list("abcde"), "mean": 0.5, "std": 0.5})
    new.write_text("name: new\n" + text.replace("depths: [1, 1]", "depths: [1, 2]"))
    other.write_text("name: other\n" + text.replace("DW k=3", "pooling"))
    made = tmp_path / "made.safetensors"
    run = CliRunner().invoke
    done = run(app, ["transfer", str(old), str(new), "--output", str(made), "--strict"])
    assert (
        done.exit_code == 0 and "starts as the identity" in done.stdout and "change by at most 0.0e+00" in done.stdout
    )
    x = torch.randn(2, 3, 32, 32)
    assert torch.allclose(outputs(load(made), x), outputs(load(old), x), atol=1e-5)
    told = json.loads(run(app, ["transfer", str(old), str(other), "-o", str(made), "--json"]).stdout)
    assert told["lost"] and told["written"] == str(made)
    assert {"path", "what", "why", "tensors", "numbers"} == set(told["lines"][0])
    made.unlink()
    strict = run(app, ["transfer", str(old), str(other), "-o", str(made), "--strict"])
    assert strict.exit_code == 1 and "nothing written" in strict.stdout and not made.exists()
    wrong = run(app, ["transfer", "nosuch", str(other), "-o", str(made)])
    assert wrong.exit_code == 1 and len(wrong.stderr.splitlines()) == 1
