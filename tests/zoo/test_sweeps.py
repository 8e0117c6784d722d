"""One set of weights under other crops and at other sizes."""

import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from mixspec.compiler.errors import SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import resolve
from mixspec.zoo.classifier import Classifier
from mixspec.zoo.load import fresh
from mixspec.zoo.tools.sweeps import RATIOS, crops, resolutions, summary
from mixspec.zoo.training.data import Data, Inputs
from mixspec.zoo.training.evaluate import evaluate
from mixspec.zoo.training.loop import Trained
from mixspec.zoo.weights import save

from .conftest import TINY


@pytest.fixture
def classifier(trained: Trained, data: Data) -> Classifier:
    return Classifier.open(trained.best, data)


def test_the_nine_ratios_of_the_paper() -> None:
    assert [round(0.8 + 0.025 * step, 3) for step in range(9)] == list(RATIOS)


def test_crop_is_the_centre_of_the_enlarged_image() -> None:
    images = torch.rand(2, 1, 8, 8)
    for ratio, larger, offset in ((0.8, 20, 2), (0.875, 18, 1), (0.9, 17, 0)):
        plain = F.interpolate(images, (larger, larger), mode="bilinear", align_corners=False, antialias=True)
        cut = plain[..., offset : offset + 16, offset : offset + 16]
        assert torch.equal(Inputs((16, 16), 1, 0.0, 1.0, ratio).resize(images), cut)


def test_whole_images_are_those_of_a_plain_evaluation(classifier: Classifier, data: Data) -> None:
    found = crops(classifier, data.splits["val"], [0.3, 1.0])
    assert found.top1[1] == (1.0, classifier.evaluate(data.splits["val"]).top1)
    assert found.top1[0][1] != found.top1[1][1]


def test_mean_best_and_both_deviations() -> None:
    values = [90.0, 92.0, 91.0]
    found = summary(list(zip((0.8, 0.9, 1.0), values, strict=True)))
    assert (found.mean, found.best, found.best_ratio) == (91.0, 92.0, 0.9)
    assert found.sd_population == pytest.approx(statistics.pstdev(values), abs=1e-4)
    assert found.sd_sample == pytest.approx(1.0)
    assert summary([(1.0, 90.0)]).sd_sample is None
    assert found.facts()["crops"][0] == {"ratio": 0.8, "top1": 90.0}


@pytest.mark.parametrize("ratio", [0.0, -1.0, 1.01, float("nan")])
def test_wrong_ratios_are_complaints(classifier: Classifier, data: Data, ratio: float) -> None:
    with pytest.raises(SpecError, match="MX822 a crop ratio of"):
        crops(classifier, data.splits["val"], [1.0, ratio])


def test_resolutions_run_the_same_weights(classifier: Classifier, trained: Trained, data: Data) -> None:
    split = data.splits["val"]
    found = resolutions(classifier, trained.best, split, [8, 16, (12, 8)])
    assert [image for image, _ in found] == [8, 16, (12, 8)]
    assert found[0][1].top1 == classifier.evaluate(split).top1
    large = evaluate(classifier.model, split, replace(classifier.inputs, size=(16, 16)), data.classes)
    assert found[1][1] == large


def test_network_of_one_size_says_so(data: Data, tmp_path: Path) -> None:
    net = resolve(parse(TINY.replace("CADAsp b=2 ca=3", "DAsp b=2")))
    save(fresh(net), tmp_path / "a.safetensors", data=data.facts())
    classifier = Classifier.open(tmp_path / "a.safetensors", data)
    with pytest.raises(SpecError, match="MX204"):
        resolutions(classifier, tmp_path / "a.safetensors", data.splits["val"], [16])


def test_inputs_of_other_sizes_are_rectangles_too() -> None:
    assert Inputs((8, 16), 3, 0.0, 1.0, 0.8)(torch.rand(1, 1, 8, 8)).shape == (1, 3, 8, 16)
