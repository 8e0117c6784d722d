"""Updates whose loss is no number: they leave nothing behind, are said, and are limited."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from mixspec.compiler.errors import SpecError
from mixspec.compiler.recipe import Recipe
from mixspec.compiler.resolve import Network
from mixspec.zoo.training.data import Batch, Data, Key, Samples
from mixspec.zoo.training.engine import Engine
from mixspec.zoo.training.loop import train
from mixspec.zoo.training.mean import held

from .engines import Heard, engine


class Poisoned:
    """Samples of which some batches are not numbers."""

    streamed = False

    def __init__(self, samples: Samples, bad: set[int]) -> None:
        self.samples, self.bad, self.asked = samples, bad, 0

    def __len__(self) -> int:
        return len(self.samples)

    def __getitems__(self, keys: Sequence[Key]) -> Batch:
        batch = self.samples.__getitems__(keys)
        self.asked += 1
        return batch._replace(images=batch.images * float("nan")) if self.asked - 1 in self.bad else batch


def poisoned(monkeypatch: pytest.MonkeyPatch, bad: set[int]) -> None:
    plain = Engine._samples
    monkeypatch.setattr(Engine, "_samples", lambda self: Poisoned(plain(self), bad))


def test_a_bad_update_leaves_nothing_behind(tiny: Network, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(monkeypatch, {1})
    made = engine(tiny, data, batch_size=64, model_ema=True)
    batches = made.updates(0)
    made.update(next(batches), 0, 0)
    before = {name: tensor.clone() for name, tensor in held(made.bare).items() if tensor.is_floating_point()}
    done, _ = made.update(next(batches), 0, 1)
    assert done.skipped and math.isnan(done.loss)
    assert all(torch.equal(tensor, held(made.bare)[name]) for name, tensor in before.items())
    assert not made.update(next(batches), 0, 2)[0].skipped


def test_bad_updates_are_said_and_limited(
    tiny: Network, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(name="a", epochs=2, batch_size=64, lr=1e-3, max_skipped=1)
    poisoned(monkeypatch, {1, 3, 5})
    heard = Heard()
    done = train(tiny, recipe, data, tmp_path / "a", watch=heard)
    assert done.skipped == 3
    assert heard.said[0] == "update 2 was skipped: the loss is nan in epoch 1"
    poisoned(monkeypatch, {6, 7})
    good = tmp_path / "b" / "checkpoints" / "00000004"
    with pytest.raises(SpecError, match=rf"nan in epoch 2, 2 times in a row; the last good checkpoint is {good}"):
        train(tiny, recipe, data, tmp_path / "b")


def test_diverging_loss_stops_with_a_complaint(tiny: Network, data: Data, tmp_path: Path) -> None:
    recipe = Recipe(name="a", epochs=3, batch_size=32, opt="sgd", lr=1e30, max_skipped=0)
    with pytest.raises(SpecError, match=r"the loss is (nan|inf) in epoch \d; there is no checkpoint .*a smaller lr"):
        train(tiny, recipe, data, tmp_path)
