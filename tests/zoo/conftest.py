"""A network and a data set small enough to train in a second, and a Hub to pull from and push to."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small import SPEC, changed, few_digits

from mixspec.compiler.parse import parse
from mixspec.compiler.recipe import Recipe
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo.load import fresh
from mixspec.zoo.training.data import Data, open_data
from mixspec.zoo.training.loop import Trained, train
from mixspec.zoo.weights import save

from .loopback.client import client
from .loopback.server import Hub

TINY = changed(
    SPEC,
    "name: tiny",
    "res_scale: [false, true]",
    "mixers: CADAsp b=2 ca=3 agg=3 Ch=4 in stage 1, attention Ch=8 in stage 2",
)


@pytest.fixture(scope="session")
def tiny() -> Network:
    return resolve(parse(TINY))


@pytest.fixture(scope="session")
def data() -> Data:
    """Some of the digits, fewer where they are only looked at."""
    return few_digits(256, 64, 64)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe(name="quick", epochs=2, batch_size=32, lr=5e-3, degrees=5.0, translate=0.05, clip_grad=1.0)


@pytest.fixture(scope="session")
def trained(tiny: Network, recipe: Recipe, data: Data, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    folder: Path = tmp_path_factory.mktemp("run")
    yield train(tiny, recipe, data, folder, seed=3)


@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def hub(server: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Nothing on it yet, and huggingface_hub asks it and no other."""
    server.reset()
    with client(server, cache, patch=monkeypatch):
        yield server


@pytest.fixture(scope="session")
def weights(tiny: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the tiny network, with figures as a training leaves them."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    data = {"name": "digits", "classes": [str(digit) for digit in range(10)], "mean": [0.3], "std": [0.4]}
    metrics = {"val_top1": 51.5, "test_top1": 50.25, "epoch": 2, "data": "digits"}
    save(fresh(tiny, 1), path, metrics=metrics, recipe={"epochs": 2}, data=data)
    return path


@pytest.fixture
def file(tiny: Network, tmp_path: Path) -> Path:
    """Weights of the tiny network that a test may change."""
    path = tmp_path / "tiny.safetensors"
    save(fresh(tiny, 1), path, metrics={"val_top1": 50.0}, recipe={"epochs": 2}, data={"name": "digits"})
    return path


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Data]:
    """Data sets of each kind, written once."""
    from .written import KINDS  # here, for it loads libraries that few tests want

    places: dict[str, str] = {}

    def data(kind: str) -> Data:
        if kind not in places:
            places[kind] = KINDS[kind](tmp_path_factory.mktemp("data"))
        return open_data(places[kind])

    return data
