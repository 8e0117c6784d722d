from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from mixspec.compiler.resolve import Network
from mixspec.zoo import demo
from mixspec.zoo.classifier import Classifier
from mixspec.zoo.kernels import banks, draw
from mixspec.zoo.load import build, fresh
from mixspec.zoo.shades import beside, shaded
from mixspec.zoo.training.data import Data
from mixspec.zoo.training.loop import OURS, Trained


def test_shades_follow_the_ink() -> None:
    image = torch.tensor([[0.0, 0.25, 0.5], [0.75, 1.0, 2.0]])
    assert shaded(image) == ["  ░░▒▒", "▓▓████"]
    assert shaded(image, "ascii") == shaded(image, "no such encoding") == ["  ..::", "**####"]


def test_pictures_stand_side_by_side() -> None:
    assert beside([["ab", "cd"], ["e ", "f "]], gap="|") == ["ab|e", "cd|f"]


def test_gallery_shows_labels_and_answers(trained: Trained, data: Data) -> None:
    classifier = Classifier.open(trained.best, data)
    lines = demo.gallery(classifier, data.splits["test"])
    first = data.splits["test"].labels[0]
    assert any(line.startswith(f"is {first}, said ") for line in lines)
    assert max(map(len, lines)) <= 80
    wrong = "wrong, " in "\n".join(lines)
    assert wrong == (classifier.evaluate(data.splits["test"]).top1 < 100)


def test_file_that_answers_otherwise_is_noticed(trained: Trained, data: Data) -> None:
    demo.reread(trained, data)
    lying = replace(trained, best_epoch=replace(trained.best_epoch, val_loss=0.0))
    with pytest.raises(AssertionError, match="answers otherwise"):
        demo.reread(lying, data)


def test_banks_are_the_layers_own_kernels(tiny: Network) -> None:
    model = fresh(tiny)
    bank = model.stages[0].blocks[0].mixer.bank
    with torch.no_grad():
        bank.weight.mul_(0.1)
        bank.bias.copy_(torch.arange(18.0))
        bank.weight[9:, 1] = torch.arange(9.0)[:, None, None]  # the second head's second base kernel
    (only,) = banks(model)
    assert (only.path, only.head) == ("stages.0.blocks.0.mixer", 1)
    assert torch.equal(only.base[0], torch.arange(9.0).view(3, 3))
    assert only.position is not None and torch.equal(only.position, torch.arange(9.0, 18.0).view(3, 3))


def test_grouped_banks_are_read_alike() -> None:
    model = build("digits_cada")
    first = next(banks(model))
    weight = model.stages[0].blocks[0].mixer.bank.weight
    taps = weight.view(-1, 49, weight.shape[1])[first.head]
    assert torch.equal(first.base.flatten(1).sort(0).values, taps.T.reshape(-1, 49).sort(0).values)


def test_picture_is_written_where_there_are_kernels(trained: Trained, tmp_path: Path) -> None:
    model = Classifier.open(trained.best).model
    assert draw(model, tmp_path / "k.png", "tiny") == 1
    with Image.open(tmp_path / "k.png") as image:
        assert image.format == "PNG" and image.width > 500
        assert len(image.convert("RGB").getcolors(1 << 24)) > 50
    assert draw(build("digits_dw", device="meta"), tmp_path / "none.png", "no kernels") == 0
    assert not (tmp_path / "none.png").exists()


@pytest.mark.slow
def test_demonstration_reaches_its_goal(tmp_path: Path) -> None:
    from mixspec.zoo.load import network

    said: list[str] = []
    outcome = demo.demonstrate(network("digits_cadasp"), tmp_path, said.append)
    assert outcome.top1 >= demo.GOAL
    assert {file.name for file in tmp_path.iterdir()} == {*OURS} - {"tensorboard"} | {"run.lock", "kernels.png"}
