"""The procedural sets: what decides a class, and what does not."""

import math

import pytest
import torch
from torch.nn import functional as F

from mixspec.compiler.errors import SpecError
from mixspec.zoo.training.data import Inputs, Key, open_data
from mixspec.zoo.training.data.sources import synthetic
from mixspec.zoo.training.data.sources.synthetic.context import Context
from mixspec.zoo.training.data.sources.synthetic.pairs import Pairs
from mixspec.zoo.training.data.sources.synthetic.shapes import figures
from mixspec.zoo.training.data.sources.synthetic.task import normal
from mixspec.zoo.training.data.sources.synthetic.textures import Textures

INPUTS = Inputs((16, 16), 1, 0.0, 1.0)
FEW = "train=24&val=8&test=8&size=24"


@pytest.mark.parametrize("name", synthetic.names())
def test_an_image_follows_from_its_number(name: str) -> None:
    """Whatever else is asked for, in whatever order, and however many there are."""
    data, more = open_data(f"synthetic/{name}?{FEW}"), open_data(f"synthetic/{name}?{FEW}&val=9")
    images, labels = data.splits["train"].read([5, 2, 5])
    assert torch.equal(images[0], images[2]) and not torch.equal(images[0], images[1])
    assert torch.equal(images[1], data.splits["train"].read([2])[0][0])
    assert torch.equal(more.splits["val"].read(range(8))[0], data.splits["val"].read(range(8))[0])
    assert not torch.equal(data.splits["val"].read([2])[0], data.splits["test"].read([2])[0])
    assert not torch.equal(open_data(f"synthetic/{name}?{FEW}&seed=1").splits["train"].read([2])[0][0], images[1])
    assert images.shape == (3, 1, 24, 24) and images.min() >= 0 and images.max() <= 1
    assert labels.tolist() == [5 % len(data.classes), 2 % len(data.classes), 5 % len(data.classes)]


@pytest.mark.parametrize("name", synthetic.names())
def test_what_does_not_fit_into_memory_is_drawn_by_need(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    held = open_data(f"synthetic/{name}?{FEW}").splits["train"]
    monkeypatch.setattr(synthetic, "HELD", 0)
    drawn = open_data(f"synthetic/{name}?{FEW}").splits["train"]
    keys = [Key(0, 7), Key(0, 3)]
    for a, b in zip(held.samples(INPUTS).__getitems__(keys), drawn.samples(INPUTS).__getitems__(keys), strict=True):
        assert a == b if isinstance(a, tuple) else torch.equal(a, b)
    assert (
        drawn.digest() != held.digest() and len(open_data("synthetic/pairs?train=1000000000").splits["train"]) == 10**9
    )


def test_noise_is_normal_and_white() -> None:
    noise = normal(0, [(0, index) for index in range(20)], 32)
    assert noise.mean().abs() < 0.02 and abs(noise.std() - 1) < 0.02
    assert (noise[:, :, 1:] * noise[:, :, :-1]).mean().abs() < 0.02
    assert (noise[1:] * noise[:-1]).mean().abs() < 0.02
    assert 0.04 < (noise.abs() > 2).float().mean() < 0.05


def test_textures_differ_in_their_neighbours_and_in_nothing_else() -> None:
    task = Textures(train=64)
    images = task.images(0, range(64))[:, 0] - 0.5
    level, upright = images[0::4], images[2::4]  # 0° and 90°
    assert (level[:, :, 1:] * level[:, :, :-1]).mean() > 0.02 > (level[:, 1:] * level[:, :-1]).mean()
    assert (upright[:, 1:] * upright[:, :-1]).mean() > 0.02
    torch.testing.assert_close(images.std((1, 2)), torch.full((64,), 0.2), rtol=0.05, atol=0)
    far = (level[:, :, task.reach + 1 :] * level[:, :, : -task.reach - 1]).mean()
    assert far.abs() < 2e-3


def test_figures_are_of_equal_dots_equally_far_apart() -> None:
    for name, points in figures().items():
        assert points.shape == (12, 2)
        apart = torch.cdist(points, points) + 9 * torch.eye(12)
        assert apart.min() > 0.35, name
        steps = (points - points.roll(1, 0)).norm(dim=1)
        assert steps.max() == pytest.approx(2 * math.pi / 12 / 1.21, rel=0.02), name
        assert points.norm(dim=1).max() <= 1.001, name
        assert points.mean(0).norm() < 0.1, name


def test_marks_stand_at_their_distance_and_decide_together() -> None:
    task = Pairs(size=40, distance=20)
    chance = torch.rand(200, 4, generator=torch.Generator().manual_seed(0))
    alike, unlike = (task.paint(torch.full((200,), label), chance) for label in (0, 1))
    for images in (alike, unlike):  # the second moment along the line between them is that of two points 20 apart
        down, right = (torch.arange(40) + 0.5).view(40, 1), (torch.arange(40) + 0.5).view(1, 40)
        mass = images.sum((1, 2))
        spread = sum((images * (line - ((images * line).sum((1, 2)) / mass)[:, None, None]) ** 2).sum((1, 2)) / mass
                     for line in (down, right))  # fmt: skip
        torch.testing.assert_close(spread, torch.full((200,), 100.0), rtol=0.05, atol=0)
    upright = (chance[:, 3] < 0.5).float().mean()
    assert 0.4 < upright < 0.6
    ends = F.conv2d(alike[:, None], torch.ones(1, 1, 5, 1)).amax((1, 2, 3)) > 3  # an upright mark somewhere
    assert torch.equal(ends, chance[:, 3] < 0.5)
    assert (F.conv2d(unlike[:, None], torch.ones(1, 1, 5, 1)).amax((1, 2, 3)) > 3).all()


def test_a_mark_means_another_thing_on_other_stripes() -> None:
    task = Context(size=32, gap=3, classes=2)
    chance = torch.tensor([[0.2, 0.5, 0.5, 0.1], [0.8, 0.5, 0.5, 0.1]])  # level stripes, upright stripes
    same, cross = (task.paint(torch.full((2,), label), chance) for label in (0, 1))
    centre = slice(12, 20)
    torch.testing.assert_close(same[0, centre, centre], cross[1, centre, centre])  # one mark, two meanings
    torch.testing.assert_close(same[1, centre, centre], cross[0, centre, centre])
    assert not torch.allclose(same[0], cross[1])
    assert same[0, :, 0].std() > 0.05 > same[0, 0].std()  # level stripes change downwards


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("synthetic/pear", "there is no task 'pear' .did you mean pairs"),
        ("synthetic", "one of: context, pairs, shapes, textures"),
        ("synthetic/pairs?size=4", "MX102 size: must be greater than or equal to 8"),
        ("synthetic/pairs?distnce=3", "unknown key 'distnce' .did you mean distance"),
        ("synthetic/pairs?distance=40", r"marks 40 pixels apart .6 to 26 at size=32"),
        ("synthetic/pairs?size=8&distance=2", r"marks 2 pixels apart .size=12 or more"),
        ("synthetic/context?gap=16", "a gap of 16 pixels"),
        ("synthetic/shapes?size=8", "figures of 2.0 pixels"),
        ("synthetic/pairs?size", "'size' is no option"),
        ("digits?size=3", "digits has no option 'size'"),
        ("digit", "did you mean digits"),
        ("digits/3", r"there is nothing called '3' in it .digits, or ./digits"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        open_data(text)
    assert str(caught.value).startswith((text, f"MX814 {text}"))
