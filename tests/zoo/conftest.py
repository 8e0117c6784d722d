"""A network and a data set small enough to train in a second."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mixspec.compiler.parse import parse
from mixspec.compiler.recipe import Recipe
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo.training.data import Data, Split, digits
from mixspec.zoo.training.loop import Trained, train

TINY = """\
name: tiny
family: metaformer
image: 8
in_chans: 1
classes: 10
stem: small
depths: [1, 1]
dims: [8, 16]
res_scale: [false, true]
mixers: CADAsp b=2 ca=3 agg=3 Ch=4 in stage 1, attention Ch=8 in stage 2
head: linear
"""


@pytest.fixture(scope="session")
def tiny() -> Network:
    return resolve(parse(TINY))


@pytest.fixture(scope="session")
def data() -> Data:
    """Every tenth of the digits, less where they are only looked at."""
    whole = digits()
    few = {name: Split(split.images[:size], split.labels[:size])
           for (name, split), size in zip(whole.splits.items(), (256, 64, 64), strict=True)}  # fmt: skip
    return Data(whole.name, whole.classes, few, whole.mean, whole.std)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe(name="quick", epochs=2, batch_size=32, lr=5e-3, degrees=5.0, translate=0.05, clip_grad=1.0)


@pytest.fixture(scope="session")
def trained(tiny: Network, recipe: Recipe, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    folder: Path = tmp_path_factory.mktemp("run")
    yield train(tiny, recipe, data, folder, seed=3)
