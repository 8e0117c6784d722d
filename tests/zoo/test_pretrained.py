"""From a name to weights: foreign ones are ported once, verified, and kept; what cannot be had is one line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import deviation
import pytest
import torch
import twins
from huggingface_hub import constants
from safetensors.torch import save_file

import mixspec
from mixspec.compiler.errors import SpecError
from mixspec.zoo import entries, pretrained
from mixspec.zoo.load import build
from mixspec.zoo.pretrained import weights_file
from mixspec.zoo.training.loop import Trained
from mixspec.zoo.weights import header

from .conftest import TINY


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "assets"))
    return tmp_path / "assets"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Addresses on the Hub, and the files that come of them."""
    files: dict[str, Path] = {}

    def local(address: str) -> Path:
        if str(address) not in files:
            raise SpecError.of("MX999", f"{address}: there is no way to the Hub")
        return files[str(address)]

    monkeypatch.setattr(pretrained, "local", local)
    return files


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of entries, of which ``of`` knows those alone."""
    folder = tmp_path / "entries"
    folder.mkdir()
    monkeypatch.setattr(entries, "FOLDER", folder)
    entries.every.cache_clear()
    yield folder
    entries.every.cache_clear()


def test_paths_and_addresses(tmp_path: Path, hub: dict[str, Path]) -> None:
    hub["hf://me/net"] = tmp_path / "a.safetensors"
    assert weights_file("hf://me/net") == tmp_path / "a.safetensors"
    for path in ("best.safetensors", "runs/best", tmp_path / "none"):
        assert weights_file(path) == Path(path)


def test_timm_s_weights_under_our_name(
    tmp_path: Path, cache: Path, hub: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = twins.randomised(twins.unset("caformer_s18"))
    file = tmp_path / "model.safetensors"
    save_file(theirs.state_dict(), file)
    hub["hf://timm/caformer_s18.sail_in1k/model.safetensors"] = file
    ours = build("caformer_s18", pretrained=True, image=64).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert deviation.relative(ours(x), theirs(x)) < 1e-4
    kept = list(cache.rglob("*.safetensors"))
    assert len(kept) == 1
    facts = header(kept[0])
    assert facts.data["classes"][1].startswith("goldfish") and facts.data["mean"] == [0.485, 0.456, 0.406]
    assert facts.metrics["reported"][0]["value"] == 83.6
    monkeypatch.setattr(pretrained, "ported", None)  # the second time nothing is ported
    assert weights_file("caformer_s18.sail_in1k") == weights_file("caformer_s18") == kept[0]


def test_without_a_network_it_says_so_in_one_line(hub: dict[str, Path]) -> None:
    with pytest.raises(SpecError, match="no way to the Hub") as caught:
        build("convformer_s18", pretrained=True)
    assert len(str(caught.value).splitlines()) == 1


def test_weights_of_another_network_are_refused(tmp_path: Path, cache: Path, hub: dict[str, Path]) -> None:
    save_file({"stem.conv.weight": torch.zeros(1)}, tmp_path / "a.safetensors")
    hub["hf://timm/caformer_s18.sail_in1k/model.safetensors"] = tmp_path / "a.safetensors"
    with pytest.raises(SpecError, match="missing"):
        build("caformer_s18", pretrained=True)
    assert not list(cache.rglob("*.safetensors"))


def entry(source: str, file: Path, **changes: object) -> str:
    known = {"sha256": pretrained.sha256(file), "size": file.stat().st_size, **changes}
    lines = "\n".join(f"{key}: {value!r}" for key, value in known.items())
    runs = "runs:\n- {seed: 0, epoch: 1, val_top1: 50.0, test_top1: 50.0, test_loss: 1.0}\n"
    return f"name: tiny\nspec: digits_dw\nsource: {source}\nlicence: mit\ndata: digits\nrecipe: digits\n{lines}\n{runs}"


def test_shipped_weights(tmp_path: Path, zoo: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "WEIGHTS", tmp_path)
    shutil.copy(trained.best, tmp_path / "tiny.safetensors")
    (zoo / "tiny.yaml").write_text(entry("tiny.safetensors", trained.best))
    (tmp_path / "spec.yaml").write_text(TINY)
    assert weights_file("tiny") == tmp_path / "tiny.safetensors"
    x = torch.randn(2, 1, 8, 8)
    named = build(tmp_path / "spec.yaml", pretrained="tiny").eval()
    assert torch.equal(named(x), mixspec.load(trained.best)(x))
    (zoo / "tiny.yaml").write_text(entry("tiny.safetensors", trained.best, sha256="0" * 64))
    entries.every.cache_clear()
    with pytest.raises(SpecError, match="its entry tiny says 000000000000"):
        weights_file("tiny")


def test_missing_shipped_weights_are_an_os_error(zoo: Path, trained: Trained) -> None:
    (zoo / "tiny.yaml").write_text(entry("tiny.safetensors", trained.best))
    with pytest.raises(FileNotFoundError):
        weights_file("tiny")
