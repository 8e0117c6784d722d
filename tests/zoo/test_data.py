import random
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from mixspec.compiler.errors import SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.recipe import Recipe
from mixspec.compiler.resolve import resolve
from mixspec.zoo.training import augment
from mixspec.zoo.training.augment import Mix
from mixspec.zoo.training.chance import drawing, seed_of, shuffled, uniform
from mixspec.zoo.training.data import Inputs, Key, digits
from mixspec.zoo.training.data.transforms import training

from .conftest import TINY


def recipe(**fields: object) -> Recipe:
    return Recipe.model_validate({"name": "a", "epochs": 1, "batch_size": 8, "lr": 1e-3, **fields})


INPUTS = Inputs((16, 16), 1, 0.3, 0.4)


def test_digits_are_split_once_and_evenly() -> None:
    data, again = digits(), digits()
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 1197, "val": 300, "test": 300}
    for name, split in data.splits.items():
        shares = split.labels.bincount(minlength=10) / len(split)
        assert (shares - 0.1).abs().max() < 0.01, name
        assert torch.equal(split.images, again.splits[name].images)
    rows = torch.cat([split.images.flatten(1) for split in data.splits.values()])
    assert len(rows.unique(dim=0)) == len(rows) == 1797
    assert 0 <= rows.min() < rows.max() == 1
    assert (data.mean, data.std) == pytest.approx((float(data.splits["train"].images.mean()), 0.376), abs=1e-3)


def test_inputs_are_resized_normalised_and_repeated() -> None:
    images = digits().splits["test"].images[:2]
    x = Inputs((16, 24), 3, 0.5, 2.0)(images)
    assert x.shape == (2, 3, 16, 24)
    assert torch.equal(x[:, 0], x[:, 2])
    torch.testing.assert_close(x[:, :1] * 2 + 0.5, F.interpolate(images, (16, 24), mode="bilinear"))


def test_networks_for_other_than_images_are_refused() -> None:
    network = resolve(parse(TINY.replace("in_chans: 1", "in_chans: 4")))
    with pytest.raises(SpecError, match=r"tiny reads 4 channels \(images have 1 or 3"):
        Inputs.of(network, digits().facts())


def moved(images: torch.Tensor, recipe: Recipe) -> torch.Tensor:
    """One epoch's moves, from seed 0."""
    return augment.moved(images, recipe, uniform(0, [(0, index, 0) for index in range(len(images))], augment.MOVES))


def test_moving_nothing_changes_nothing() -> None:
    images = torch.rand(4, 1, 8, 8)
    assert not augment.moves(recipe())
    torch.testing.assert_close(moved(images, recipe()), images)


def test_mirror_and_quarter_turn() -> None:
    images = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(moved(images, recipe(hflip=1.0)), images.flip(-1))
    turned = moved(torch.rand(64, 1, 8, 8), recipe(degrees=180.0))
    assert turned.shape == (64, 1, 8, 8)


def test_shift_and_zoom_stay_within_their_bounds() -> None:
    image = torch.zeros(512, 1, 32, 32)
    image[:, :, 15:17, 15:17] = 1
    there = moved(image, recipe(translate=0.25))[:, 0]
    place = (there.sum(1) * torch.arange(32)).sum(1) / there.sum((1, 2)) - 15.5
    assert 7 < place.abs().max() <= 8.01
    big = moved(image, recipe(zoom=(2.0, 2.0)))[:, 0].sum((1, 2))
    torch.testing.assert_close(big, torch.full_like(big, 16.0), rtol=0.05, atol=0)


def mixing(**fields: object) -> Mix:
    mix = Mix.of(recipe(**fields), 10)
    assert mix is not None
    return mix


@pytest.mark.parametrize("count", [8, 7, 1])
def test_mixing_gives_shares_of_classes(count: int) -> None:
    images, labels = torch.rand(count, 1, 8, 8), torch.arange(count)
    for fields in ({"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 0.5, "cutmix": 0.5, "smoothing": 0.1}):
        before = images.clone()
        x, target = mixing(**fields)(images, labels, (0, 1))
        assert x.shape == images.shape and target.shape == (count, 10) and torch.equal(images, before)
        torch.testing.assert_close(target.sum(1), torch.ones(count))
        assert (target > 0.2).sum() >= count
        again = mixing(**fields)(images, labels, (0, 1))
        assert torch.equal(again[0], x) and torch.equal(again[1], target)
        assert count == 1 or not torch.equal(mixing(**fields)(images, labels, (0, 2))[0], x)
    assert Mix.of(recipe(), 10) is None


def seen(images: torch.Tensor, seed: int = 0, epoch: int = 0, copy: int = 0, **fields: object) -> torch.Tensor:
    keys = [(epoch, index, copy) for index in range(len(images))]
    return augment.augmented(images, keys, seed, INPUTS, recipe(**fields))


@pytest.mark.parametrize("fields", [{"aa": "rand-m9-n3-mstd0.5"}, {"aa": "ta_wide"}, {"reprob": 1.0}])
def test_augmentation_works_on_grey_images(fields: dict[str, object]) -> None:
    images = digits().splits["train"].read(range(8))[0]  # type: ignore[attr-defined]
    plain, x = seen(images), seen(images, **fields)
    assert x.shape == plain.shape and x.isfinite().all()
    assert not torch.allclose(x, plain)


@pytest.mark.parametrize("name", ["rand-m10-n2-inc1", "rand-m0-n2", "rand-m15-mmax20-inc1", "augmix-m10-w3", "v0"])
def test_a_policy_may_keep_no_bit_of_a_shade(name: str) -> None:
    """timm's scale of posterize ends at no bit at all, which Pillow refuses since version 13."""
    picture = Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3))
    steps = training(Inputs((16, 16), 3, 0.3, 0.4), recipe(aa=name)).transforms  # type: ignore[attr-defined]
    for drawn in ([augment.policy(name)], steps):
        found = [change for policy in drawn for change in augment.changes(policy)]
        assert any(change.name.startswith("Posterize") for change in found)
        for change, magnitude in product(found, (0, 5, 10, 20)):
            change.prob, change.magnitude = 1.0, magnitude
            assert change(picture).size == (16, 16)
    assert augment.posterize(picture, 0).getextrema() == ((0, 0),) * 3
    assert augment.posterize(picture, 8) == picture
    assert np.array_equal(np.asarray(augment.posterize(picture, 3)), np.asarray(picture) & 0b11100000)


def test_what_happens_to_an_image_follows_from_its_key() -> None:
    """And neither from the batch it is in nor from what was drawn before."""
    samples = digits().samples("train", INPUTS, recipe(degrees=20.0, translate=0.2, aa="rand-m5-n2", reprob=0.5), 7)
    keys = [Key(epoch, index, copy) for epoch in (0, 1) for index in (3, 500) for copy in (0, 1)]
    together = samples.__getitems__(keys)
    torch.manual_seed(5)
    random.seed(5)
    alone = [samples.__getitems__([key]).images[0] for key in reversed(keys)][::-1]
    assert torch.equal(torch.stack(alone), together.images)
    assert len({image.numpy().tobytes() for image in alone}) == len(keys)
    assert together.indices.tolist() == [3, 3, 500, 500] * 2 and together.bad == ()
    images = digits().splits["train"].read([3])[0]  # type: ignore[attr-defined]
    assert not torch.equal(seen(images, degrees=20.0), seen(images, seed=1, degrees=20.0))


def test_chance_is_even_and_independent() -> None:
    drawn = uniform(3, [(0, index) for index in range(4000)], 4)
    assert drawn.min() >= 0 and drawn.max() < 1
    assert (drawn.mean(0) - 0.5).abs().max() < 0.02 and (drawn.var(0) - 1 / 12).abs().max() < 0.005
    assert (torch.corrcoef(drawn.T) - torch.eye(4)).abs().max() < 0.06
    neighbours = torch.corrcoef(torch.stack((drawn[1:, 0], drawn[:-1, 0])))
    assert neighbours[0, 1].abs() < 0.06
    assert sorted(shuffled(50, 1, 2)) == list(range(50)) and shuffled(50, 1, 2) != shuffled(50, 1, 3)
    assert len({seed_of(0, epoch, index) for epoch in range(30) for index in range(30)}) == 900


def test_drawing_leaves_the_usual_generators_where_they_were() -> None:
    torch.manual_seed(1)
    random.seed(1)
    wanted = torch.rand(()), random.random()
    torch.manual_seed(1)
    random.seed(1)
    with drawing(9, 9):
        inside = torch.rand(()), random.random()
    assert (torch.rand(()), random.random()) == wanted != inside
    with drawing(9, 9):
        assert (torch.rand(()), random.random()) == inside


def test_rand_augment_of_strength_zero_keeps_the_grey_levels() -> None:
    images = digits().splits["train"].read(range(4))[0]  # type: ignore[attr-defined]
    torch.testing.assert_close(seen(images, aa="rand-m0-n0"), INPUTS(images), atol=0.011, rtol=0)
