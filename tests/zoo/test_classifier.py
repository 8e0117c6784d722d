from pathlib import Path

import numpy
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from torchvision.transforms.functional import pil_to_tensor

from mixspec.compiler.errors import SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo.classifier import Classifier, Prediction, picture
from mixspec.zoo.load import fresh
from mixspec.zoo.training.data import Data, Inputs, Split
from mixspec.zoo.training.data.decode import BadImage
from mixspec.zoo.training.loop import Trained
from mixspec.zoo.weights import save

from .conftest import TINY

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
        assert isinstance(one, Prediction)
        assert one.label == other.label
        assert dict(one.top) == pytest.approx(dict(other.top), abs=5e-3)
        assert sum(dict(one.top).values()) == pytest.approx(1, abs=1e-5)
        assert [p for _, p in one.top] == sorted((p for _, p in one.top), reverse=True)


def test_images_of_any_size_are_taken_together(classifier: Classifier, tmp_path: Path) -> None:
    for size in (5, 300):
        Image.new("RGB", (size, 2 * size), (255, 0, 0)).save(tmp_path / f"{size}.jpg")
    assert len(classifier.predict_files([tmp_path / "5.jpg", tmp_path / "300.jpg"])) == 2


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16"])
def test_pictures_of_every_kind_are_read_as_grey(classifier: Classifier, mode: str, tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    if mode == "I;16":
        Image.fromarray(PIXELS.astype(numpy.uint16) * 257).save(file)
    else:
        Image.fromarray(PIXELS).convert(mode).save(file)
    read = picture(file)
    assert read.mode == "RGB" and read.size == (8, 8)
    if mode != "1":
        torch.testing.assert_close(
            pil_to_tensor(read)[0] / 255, torch.from_numpy(PIXELS / 255).float(), atol=0.01, rtol=0
        )
        direct = classifier.inputs(torch.from_numpy(PIXELS / 255).float()[None, None])[0]
        torch.testing.assert_close(classifier.prepared(read), direct, atol=0.03, rtol=0)


def test_bad_files_are_named_beside_the_others(classifier: Classifier, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (tmp_path / "text.png").write_bytes(b"hello")
    (tmp_path / "half.png").write_bytes((tmp_path / "a.png").read_bytes()[:50])
    files = [tmp_path / name for name in ("text.png", "a.png", "none.png", "half.png", "a.png")]
    text, one, none, half, two = classifier.predict_files(files)
    assert isinstance(one, Prediction) and isinstance(two, Prediction)
    assert one.label == two.label and dict(one.top) == pytest.approx(dict(two.top))
    assert (str(text), str(none)) == ("no image", "no such file") and str(half).startswith("damaged: ")
    assert str(classifier.predict_files([tmp_path])[0]) == "no regular file"
    assert all(isinstance(bad, BadImage) for bad in (text, none, half))


def test_light_and_dark_change_places(classifier: Classifier, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    Image.fromarray(255 - PIXELS).save(tmp_path / "b.png")
    one, other = (
        classifier.predict_files([tmp_path / name], 10, invert=name == "b.png")[0] for name in ("a.png", "b.png")
    )
    assert isinstance(one, Prediction) and one == other


def test_weights_that_do_not_know_their_classes_need_the_data(tiny: Network, data: Data, tmp_path: Path) -> None:
    save(fresh(tiny), tmp_path / "a.safetensors")
    with pytest.raises(SpecError, match="does not say which classes"):
        Classifier.open(tmp_path / "a.safetensors")
    assert Classifier.open(tmp_path / "a.safetensors", data).classes == data.classes


def test_weights_of_other_classes_are_refused(tiny: Network, data: Data, tmp_path: Path) -> None:
    facts = {**data.facts(), "classes": list("abcdefghij")}
    save(fresh(tiny), tmp_path / "a.safetensors", data=facts)
    with pytest.raises(SpecError, match="those of digits: it does not know 0, 1, 2, 3, 4 and 5 more"):
        Classifier.open(tmp_path / "a.safetensors", data)
    save(fresh(tiny), tmp_path / "b.safetensors", data={**facts, "classes": ["a", "b"]})
    with pytest.raises(SpecError, match="tiny has 10 classes, the data 2"):
        Classifier.open(tmp_path / "b.safetensors")


def test_classes_in_another_order_are_met_by_name(trained: Trained, data: Data) -> None:
    """And a set with fewer classes is judged among all that the network knows."""
    classifier = Classifier.open(trained.best, data)
    split = data.splits["val"]
    usual = classifier.evaluate(split)
    order = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]
    places = torch.tensor(order).argsort()
    turned = Data(
        "digits",
        tuple(data.classes[place] for place in order),
        {"val": Split(split.images, places[split.labels])},
        0.3,
        0.4,
    )
    again = Classifier.open(trained.best, turned)
    assert again.relabel(data) is None
    assert again.evaluate(turned.splits["val"], again.relabel(turned)) == usual
    few = split.labels < 2
    two = Data("two", ("0", "1"), {"val": Split(split.images[few], split.labels[few])}, 0.3, 0.4)
    fewer = classifier.evaluate(two.splits["val"], classifier.relabel(two))
    assert fewer.per_class == {name: usual.per_class[name] for name in ("0", "1")}
    with pytest.raises(SpecError, match=r"digits has no split 'train' .it has val"):
        turned.split("train")


def test_colour_pictures_are_prepared_as_timm_does(tmp_path: Path) -> None:
    """A network of pictures, whose file says so, gets them through timm's transform, cropped as its recipe says."""
    network = resolve(parse(TINY.replace("in_chans: 1", "in_chans: 3")))
    data = Data("photos", tuple("abcdefghij"), {}, (0.5, 0.4, 0.3), (0.2, 0.2, 0.1))
    save(fresh(network), tmp_path / "a.safetensors", data=data.facts(), recipe={"name": "a", "crop_pct": 0.8})
    classifier = Classifier.open(tmp_path / "a.safetensors")
    assert (classifier.grey, classifier.inputs.crop) == (False, 0.8)
    picture = Image.fromarray(numpy.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=numpy.uint8))
    wanted = create_transform(8, crop_pct=0.8, mean=data.mean, std=data.std)(picture)
    assert torch.equal(classifier.prepared(picture), wanted)
    narrow = Inputs.of(resolve(parse(TINY)), data.facts())
    assert narrow.mean == pytest.approx(0.299 * 0.5 + 0.587 * 0.4 + 0.114 * 0.3, abs=1e-6)
    assert narrow.picture(picture).shape == (1, 8, 8)
