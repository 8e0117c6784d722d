"""`mixspec port`: foreign checkpoints become weights files and come back bit by bit; nothing in them runs."""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import pytest
import timm
import torch
from commands import run
from safetensors.torch import load_file, save_file

from mixspec.zoo.load import network
from mixspec.zoo.port import foreign, ported
from mixspec.zoo.ports import LAYOUTS, layout
from mixspec.zoo.ports._layout import Layout, PortError
from mixspec.zoo.weights import header, load

SPEC = """\
name: small
family: convnext
depths: [1, 1, 1, 1]
dims: [8, 8, 16, 16]
classes: 5
image: 64
"""
State = dict[str, torch.Tensor]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def theirs() -> State:
    torch.manual_seed(1)
    model = timm.create_model("convnext_atto", depths=(1, 1, 1, 1), dims=(8, 8, 16, 16), num_classes=5, conv_mlp=False)
    return {key: torch.randn_like(value) for key, value in model.state_dict().items()}


def test_every_layout_has_a_name() -> None:
    assert all(isinstance(layout(name), Layout) for name in LAYOUTS)


@pytest.mark.parametrize("suffix", ["safetensors", "pth", "bin", "tar"])
def test_there_and_back(spec: Path, theirs: State, tmp_path: Path, suffix: str) -> None:
    file, ours, back = tmp_path / f"a.{suffix}", tmp_path / "ours.safetensors", tmp_path / "back.safetensors"
    if suffix == "safetensors":
        save_file(theirs, file)
    else:
        torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in theirs.items()}}, file)
    code, said = run("port", file, "--layout", "timm_convnext", "--spec", spec, "--output", ours)
    assert (code, said) == (0, f"wrote {ours}: {len(theirs)} tensors of {file} as {spec}\n")
    held = header(ours)
    assert held.network.name == "small"
    assert held.recipe["ported"]["layout"] == "timm_convnext" and len(held.recipe["ported"]["sha256"]) == 64
    assert load(ours)(torch.randn(2, 3, 64, 64)).shape == (2, 5)
    code, said = run("port", ours, "--to-layout", "timm_convnext", "--like", file, "--output", back)
    assert code == 0, said
    assert all(torch.equal(value, theirs[key]) for key, value in load_file(back).items())


def test_back_in_the_shapes_of_timm_s_own_model(tmp_path: Path) -> None:
    model = timm.create_model("test_convnext", num_classes=3)
    text = SPEC.replace("[1, 1, 1, 1]", "[1, 2, 4, 2]").replace("[8, 8, 16, 16]", "[24, 32, 48, 64]")
    (tmp_path / "small.yaml").write_text(text)
    file, ours, back = (tmp_path / f"{name}.safetensors" for name in ("theirs", "ours", "back"))
    save_file(model.state_dict(), file)
    words = ("--layout", "timm_convnext", "--spec", tmp_path / "small.yaml", "--classes", 3)
    code, said = run("port", file, *words, "--output", ours)
    assert code == 0, said
    assert run("port", ours, "--to-layout", "timm_convnext", "--like", "timm:test_convnext", "--output", back)[0] == 0
    state = load_file(back)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_wrong_layout_is_told_from_both_sides(spec: Path, theirs: State, tmp_path: Path) -> None:
    save_file(theirs, tmp_path / "a.safetensors")
    file, output = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    code, said = run("port", file, "--layout", "timm_swin", "--spec", spec, "--output", output)
    assert code == 1
    first, *rest = said.splitlines()
    assert first.startswith(f"{file}: MX807 the tensors are not those of this layout: ")
    assert any(line.startswith("  missing     stem.conv.weight") for line in rest)
    assert any(line.startswith("  unexpected  ") for line in rest)
    assert not output.exists()
    code, said = run("port", file, "--layout", "timm_convnext", "--spec", spec, "--output", output, "--classes", 7)
    assert code == 1 and "misshapen   head.fc.weight foreign (5, 16), spec (7, 16)" in said


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_does_not_run(spec: Path, theirs: State, tmp_path: Path) -> None:
    torch.save({"state_dict": theirs, "args": Bomb(tmp_path / "boom")}, tmp_path / "a.pth")
    output = tmp_path / "b.safetensors"
    code, said = run("port", tmp_path / "a.pth", "--layout", "timm_convnext", "--spec", spec, "-o", output)
    assert (code, len(said.splitlines())) == (1, 1)
    assert "MX807 more than tensors: loading it would run" in said and "not loaded" in said
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"no checkpoint", b"PK\x03\x04" + bytes(100), b"\x80\x02}q\x00.", pickle.dumps({"a": 1}, protocol=4)],
)
def test_what_is_no_checkpoint_gives_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(PortError, match=r"a\.pth: MX807 ") as caught:
        foreign(tmp_path / "a.pth", key="state_dict")
    assert len(str(caught.value).splitlines()) == 1


def test_damaged_checkpoints_are_refused_or_read(theirs: State, tmp_path: Path) -> None:
    torch.save(theirs, tmp_path / "a.pth")
    whole, draw = (tmp_path / "a.pth").read_bytes(), random.Random(0)
    for _ in range(60):
        content = bytearray(whole[: draw.randrange(len(whole))] if draw.random() < 0.3 else whole)
        for _ in range(draw.choice([1, 8, 64])):
            if content:
                content[draw.randrange(len(content))] ^= draw.randrange(1, 256)
        (tmp_path / "b.pth").write_bytes(content)
        try:
            assert all(isinstance(value, torch.Tensor) for value in foreign(tmp_path / "b.pth").values())
        except PortError as error:
            assert len(str(error).splitlines()) == 1


def test_the_entry_can_be_named(spec: Path, theirs: State, tmp_path: Path) -> None:
    mean = {key: value + 1 for key, value in theirs.items()}
    torch.save({"state_dict": theirs, "state_dict_ema": mean, "epoch": 1}, tmp_path / "a.pth")
    small = network(spec)
    one, other = (ported(tmp_path / "a.pth", "timm_convnext", small, key) for key in (None, "state_dict_ema"))
    assert torch.equal(one.state_dict()["stem.conv.weight"] + 1, other.state_dict()["stem.conv.weight"])
    with pytest.raises(PortError, match=r"no state dict under model .*it holds state_dict, state_dict_ema, epoch"):
        foreign(tmp_path / "a.pth", "model")


def test_values_that_are_not_finite_are_not_ported(spec: Path, theirs: State, tmp_path: Path) -> None:
    torch.save({**theirs, "stem.0.bias": torch.full((8,), float("nan"))}, tmp_path / "a.pth")
    with pytest.raises(PortError, match=r"1 of \d+ tensors hold NaN or infinity: stem\.conv\.bias .8 of 8 values"):
        ported(tmp_path / "a.pth", "timm_convnext", network(spec))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "say --layout"),
        (("--layout", "timm_convnext"), "for which network"),
        (("--layout", "nope", "--spec", "x"), "is no layout"),
        (("--to-layout", "timm_convnext"), "in whose shapes"),
        (("--to-layout", "timm_convnext", "--like", "x", "-o", "a.pth"), "only .safetensors"),
    ],
)
def test_wrong_usage(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    code, said = run("port", tmp_path / "a.pth", "-o", tmp_path / "b.safetensors", *words)
    assert code == 2 and told in " ".join(said.replace("│", " ").split())
    assert not list(tmp_path.iterdir())
