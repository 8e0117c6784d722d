"""``mixspec build NAME --pretrained``: a foreign checkpoint over real HTTP, ported, verified, kept; and no network."""

from __future__ import annotations

import io
from pathlib import Path

import deviation
import pytest
import timm
import torch
import twins
from commands import complaint, ended
from huggingface_hub import constants
from safetensors.torch import save
from torch import Tensor

from mixspec.zoo import entries
from mixspec.zoo.load import build, fresh
from mixspec.zoo.ports import layout
from mixspec.zoo.weights import load

from .loopback.server import Hub

DEIT = "timm/deit_tiny_patch16_224.fb_in1k"
HYENA = "Spravil/hpx_former_s18.westai_in1k"


@pytest.fixture
def hub(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """With weights of some size, and what is made of them."""
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 22)
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    return hub


@pytest.fixture(scope="module")
def deit() -> torch.nn.Module:
    return twins.randomised(timm.create_model("deit_tiny_patch16_224"))


def test_timm_s_checkpoint_comes_over_http(hub: Hub, deit: torch.nn.Module, tmp_path: Path) -> None:
    hub.put(DEIT, {"model.safetensors": save(deit.state_dict())})
    done = ended("build", "deit_ti", "--pretrained", "--save", tmp_path / "ours.safetensors")
    assert done.exit_code == 0 and "wrote" in done.stdout, done.stderr
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert deviation.relative(load(tmp_path / "ours.safetensors")(x), deit(x)) < 1e-4
    asked = len(hub.requests)
    assert torch.equal(build("deit_ti", pretrained=True).eval()(x), load(tmp_path / "ours.safetensors")(x))
    assert not [seen for seen in hub.requests[asked:] if seen.method == "GET"]
    done = ended("verify", "deit_ti")
    assert done.exit_code == 0 and "5717416" in done.stdout.replace(",", "") and "0 wrong" in done.stdout


@pytest.mark.slow
def test_a_pickle_of_hyenapixel_s_is_ported_without_running_it(hub: Hub) -> None:
    ours = fresh(entries.of("hpxformer_s18_ln").network(), 3)
    theirs = released(ours.state_dict())
    file = io.BytesIO()
    torch.save(theirs, file)
    hub.put(HYENA, {"pytorch_model.bin": file.getvalue()})
    made = build("hpxformer_s18_ln", pretrained=True)
    for name, tensor in ours.state_dict().items():
        assert torch.equal(tensor, made.state_dict()[name])


def released(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors under HyenaPixel's keys, which are found by trying: each of theirs has one of ours."""
    rules, renamed = layout("hyenapixel"), {}
    for name, tensor in state.items():
        renamed[_theirs(name)] = tensor
    assert set(map(rules.name, renamed)) == set(state)
    return renamed


def _theirs(name: str) -> str:
    """A key of ours as HyenaPixel has it."""
    words = {
        "stem.conv": "downsample_layers.0.conv",
        "stem.norm": "downsample_layers.0.post_norm",
        "head.norm": "norm",
        "head.fc.": "head.fc2.",
        "head.fc1_norm": "head.norm",
        ".mixer.pointwise": ".token_mixer.pointwise_conv",
        ".mixer.depthwise": ".token_mixer.depthwise_conv",
        ".mixer.positions": ".token_mixer.long_conv.z",
        ".mixer.skip": ".token_mixer.long_conv.bias",
        ".mixer.filter.distance": ".token_mixer.long_conv.distance_map",
        ".mixer.filter.decay": ".token_mixer.long_conv.deltas",
        ".mixer.filter.shift": ".token_mixer.long_conv.shift",
        ".mixer.filter.mlp.fc1": ".token_mixer.long_conv.implicit_filter.0",
        ".mixer.filter.mlp.sin1": ".token_mixer.long_conv.implicit_filter.1",
        ".mixer.filter.mlp.fc2": ".token_mixer.long_conv.implicit_filter.2",
        ".mixer.filter.mlp.sin2": ".token_mixer.long_conv.implicit_filter.3",
        ".mixer.filter.mlp.fc3": ".token_mixer.long_conv.implicit_filter.4",
        ".mixer.gate_norm": ".token_mixer.qk_norm",
        ".mixer.out_norm": ".token_mixer.out_norm",
        ".mixer.project": ".token_mixer.out_proj",
        ".scale1": ".res_scale1.scale",
        ".scale2": ".res_scale2.scale",
        ".blocks.": ".",
    }
    first = next((ours for ours in words if name.startswith(ours) and not ours.startswith(".")), None)
    if first:
        return words[first] + name.removeprefix(first)
    for stage in (1, 2, 3):
        for part in ("norm", "conv"):
            theirs = f"downsample_layers.{stage}.{'pre_norm' if part == 'norm' else 'conv'}"
            name = name.replace(f"stages.{stage}.downsample.{part}", theirs)
    for ours, theirs in words.items():
        if ours.startswith("."):
            name = name.replace(ours, theirs)
    return name


def test_without_a_network_one_line_says_so(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "caformer_s18.sail_in1k" in complaint("build", "caformer_s18", "--pretrained")


def test_a_server_that_is_not_there(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert complaint("build", "caformer_s18", "--pretrained")


def test_a_checkpoint_of_another_network_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.put(DEIT, {"model.safetensors": save({"stem.0.weight": torch.zeros(1)})})
    done = ended("build", "deit_ti", "--pretrained", "--save", tmp_path / "ours.safetensors")
    assert done.exit_code == 1 and "missing" in done.stderr and not (tmp_path / "ours.safetensors").exists()
    assert not list((tmp_path / "assets").rglob("*.safetensors"))


def test_one_of_the_two() -> None:
    complaint("build", "caformer_s18", "--pretrained", "--weights", "a.safetensors", code=2)
