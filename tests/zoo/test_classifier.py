from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image

from mixspec.compiler.errors import SpecError
from mixspec.compiler.resolve import Network
from mixspec.zoo.classifier import Classifier, picture
from mixspec.zoo.load import fresh
from mixspec.zoo.training.data import Data
from mixspec.zoo.training.loop import Trained
from mixspec.zoo.weights import save

PIXELS = numpy.arange(64, dtype=numpy.uint8).reshape(8, 8) * 4


@pytest.fixture
def classifier(trained: Trained) -> Classifier:
    return Classifier.open(trained.best)


def test_files_and_arrays_get_the_same_answers(classifier: Classifier, data: Data, tmp_path: Path) -> None:
    images = data.splits["test"].images[:3]
    files = [tmp_path / f"{index}.png" for index in range(3)]
    for file, image in zip(files, images, strict=True):
        Image.fromarray((image[0] * 255).round().byte().numpy()).save(file)
    from_files, direct = classifier.predict_files(files, 10), classifier.predict(images, 10)
    for one, other in zip(from_files, direct, strict=True):
        assert one.label == other.label
        assert dict(one.top) == pytest.approx(dict(other.top), abs=5e-3)
        assert sum(dict(one.top).values()) == pytest.approx(1, abs=1e-5)
        assert [p for _, p in one.top] == sorted((p for _, p in one.top), reverse=True)


def test_images_of_any_size_are_taken_together(classifier: Classifier, tmp_path: Path) -> None:
    for size in (5, 300):
        Image.new("RGB", (size, 2 * size), (255, 0, 0)).save(tmp_path / f"{size}.jpg")
    assert len(classifier.predict_files([tmp_path / "5.jpg", tmp_path / "300.jpg"])) == 2


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16"])
def test_pictures_of_every_kind_are_read_as_grey(mode: str, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    if mode == "I;16":
        Image.fromarray(PIXELS.astype(numpy.uint16) * 257).save(file)
    else:
        Image.fromarray(PIXELS).convert(mode).save(file)
    read = picture(file)
    assert read.shape == (1, 1, 8, 8)
    if mode != "1":
        torch.testing.assert_close(read[0, 0], torch.from_numpy(PIXELS / 255).float(), atol=1e-2, rtol=0)
    torch.testing.assert_close(picture(file, invert=True), 1 - read)


def test_what_is_no_image_is_a_complaint(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    half = (tmp_path / "a.png").read_bytes()
    for name, content in (("text.png", b"hello"), ("empty.png", b""), ("half.png", half[: len(half) // 2])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SpecError, match=rf"{name}: MX812 no image, or a damaged one") as caught:
            picture(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(FileNotFoundError):
        picture(tmp_path / "none.png")


def test_weights_that_do_not_know_their_classes_need_the_data(tiny: Network, data: Data, tmp_path: Path) -> None:
    save(fresh(tiny), tmp_path / "a.safetensors")
    with pytest.raises(SpecError, match="does not say which classes"):
        Classifier.open(tmp_path / "a.safetensors")
    assert Classifier.open(tmp_path / "a.safetensors", data).classes == data.classes


def test_weights_of_other_classes_are_refused(tiny: Network, data: Data, tmp_path: Path) -> None:
    facts = {**data.facts(), "classes": list("abcdefghij")}
    save(fresh(tiny), tmp_path / "a.safetensors", data=facts)
    with pytest.raises(SpecError, match="other classes than those of digits"):
        Classifier.open(tmp_path / "a.safetensors", data)
    save(fresh(tiny), tmp_path / "b.safetensors", data={**facts, "classes": ["a", "b"]})
    with pytest.raises(SpecError, match="tiny has 10 classes, the data 2"):
        Classifier.open(tmp_path / "b.safetensors")
