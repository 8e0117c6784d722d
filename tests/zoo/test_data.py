import pytest
import torch
from torch.nn import functional as F

from mixspec.compiler.errors import SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.recipe import Recipe
from mixspec.compiler.resolve import resolve
from mixspec.zoo.training import augment
from mixspec.zoo.training.augment import Augment
from mixspec.zoo.training.chance import uniform
from mixspec.zoo.training.data import Inputs, digits

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


def test_mixing_gives_shares_of_classes() -> None:
    images, labels = torch.rand(8, 1, 8, 8), torch.arange(8)
    for fields in ({"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 0.5, "cutmix": 0.5, "smoothing": 0.1}):
        x, target = Augment.of(recipe(**fields), INPUTS, 10)(images, labels)
        assert x.shape == (8, 1, 16, 16)
        torch.testing.assert_close(target.sum(1), torch.ones(8))
        assert (target > 0.2).sum() >= 8


@pytest.mark.parametrize("fields", [{"aa": "rand-m9-n3-mstd0.5"}, {"reprob": 1.0}])
def test_augmentation_works_on_grey_images(fields: dict[str, object]) -> None:
    images = digits().splits["train"].images[:8]
    plain, _ = Augment.of(recipe(), INPUTS, 10)(images, torch.arange(8))
    x, target = Augment.of(recipe(**fields), INPUTS, 10)(images, torch.arange(8))
    assert x.shape == plain.shape and x.isfinite().all()
    assert not torch.allclose(x, plain)
    assert torch.equal(target, torch.arange(8))


def test_rand_augment_of_strength_zero_keeps_the_grey_levels() -> None:
    images = digits().splits["train"].images[:4]
    kept = Augment.of(recipe(aa="rand-m0-n0"), INPUTS, 10)(images, torch.arange(4))[0]
    torch.testing.assert_close(kept, INPUTS(images), atol=0.011, rtol=0)
