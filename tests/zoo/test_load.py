from pathlib import Path

import pytest
import torch

import mixspec
from mixspec.compiler.errors import SpecError
from mixspec.zoo.load import build, fresh, network
from mixspec.zoo.training.loop import Trained
from mixspec.zoo.weights import WeightsError, save

from .conftest import TINY


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def test_public_names() -> None:
    assert mixspec.build is build
    assert mixspec.save is save


def test_weights_follow_from_the_seed(spec: Path) -> None:
    state = torch.random.get_rng_state()
    one, same, other = build(spec, seed=1), build(str(spec), seed=1), build(spec, seed=2)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(one.stem.conv.weight, same.stem.conv.weight)
    assert not torch.equal(one.stem.conv.weight, other.stem.conv.weight)


def test_keys_of_the_spec_can_be_replaced() -> None:
    model = build("digits_dw", classes=4, in_chans=3, image=24, device="meta")
    assert (model.num_classes, model.in_chans, model.at.h) == (4, 3, 24)
    assert model.resolved is not None and model.resolved.digest != network("digits_dw").digest


@pytest.mark.parametrize("wrong", [{"classes": -1}, {"in_chans": 0}, {"image": 3}, {"image": (16, 3)}])
def test_wrong_replacements_are_complaints(wrong: dict[str, int]) -> None:
    with pytest.raises(SpecError, match="MX102"):
        build("digits_dw", **wrong)  # type: ignore[arg-type]


def test_unknown_name_is_a_complaint() -> None:
    with pytest.raises(SpecError, match="did you mean digits_dw"):
        build("digit_dw")
    with pytest.raises(SpecError, match="no published weights of hpxformer_s12"):
        build("hpxformer_s12", pretrained=True)


def test_pretrained_weights(spec: Path, trained: Trained) -> None:
    x = torch.randn(2, 1, 8, 8)
    model = build(spec, pretrained=trained.best)
    assert model.training
    assert torch.equal(model.eval()(x), mixspec.load(trained.best)(x))


def test_pretrained_weights_at_another_size(spec: Path, trained: Trained) -> None:
    model = build(spec, pretrained=trained.best, image=16).eval()
    assert model.resolved is not None and model.resolved.at.h == model.at.h == 16
    assert model(torch.randn(2, 1, 16, 16)).shape == (2, 10)


def test_pretrained_weights_with_another_classifier(spec: Path, trained: Trained, tmp_path: Path) -> None:
    one, same = (build(spec, pretrained=trained.best, classes=3, seed=5) for _ in range(2))
    assert one.head.fc.weight.shape == (3, 16)
    assert torch.equal(one.head.fc.weight, same.head.fc.weight)
    assert torch.equal(one.stem.conv.weight, mixspec.load(trained.best).stem.conv.weight)
    save(one, tmp_path / "three.safetensors")
    assert mixspec.load(tmp_path / "three.safetensors").num_classes == 3


def test_weights_of_another_network_are_refused(trained: Trained) -> None:
    with pytest.raises(WeightsError, match=r"another network than digits_dw \(tiny; they differ in .*mixers"):
        build("digits_dw", pretrained=trained.best)


def test_fresh_on_meta_has_shapes_only() -> None:
    assert fresh(network("convformer_s18"), device="meta").stem.conv.weight.is_meta
