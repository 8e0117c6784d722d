import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.utils import get_total_norm

from mixspec.compiler.errors import SpecError
from mixspec.compiler.recipe import Recipe
from mixspec.compiler.resolve import Network
from mixspec.zoo.classifier import Classifier
from mixspec.zoo.load import fresh
from mixspec.zoo.training.data import Data, Inputs
from mixspec.zoo.training.evaluate import evaluate
from mixspec.zoo.training.loop import Engine, Trained, train
from mixspec.zoo.training.watch import Epoch, Watch
from mixspec.zoo.weights import header, load


class Heard(Watch):
    def __init__(self) -> None:
        self.updates: list[float] = []
        self.epochs: list[Epoch] = []

    def update(self, epoch: int, images: int, loss: float, lr: float) -> None:
        self.updates.append(lr)

    def ends(self, epoch: Epoch, best: bool) -> None:
        self.epochs.append(epoch)


def test_training_learns(trained: Trained) -> None:
    first, second = trained.epochs
    assert second.loss < first.loss < 2.4
    assert trained.best_epoch.val_top1 > 20  # one in ten is chance


def test_files_hold_what_was_measured(trained: Trained, tiny: Network, data: Data) -> None:
    classifier = Classifier.open(trained.best, data)
    split, then = data.splits["val"], trained.best_epoch
    seen, frozen = evaluate(classifier.model, split, classifier.inputs, classifier.classes), classifier.evaluate(split)
    assert (seen.top1, seen.top5, seen.loss) == (then.val_top1, then.val_top5, then.val_loss)
    assert (frozen.top1, frozen.top5, frozen.per_class) == (seen.top1, seen.top5, seen.per_class)
    assert frozen.loss == pytest.approx(seen.loss, abs=2e-6)
    held = header(trained.last)
    assert held.network.digest == tiny.digest
    assert held.metrics["epoch"] == 2 and held.metrics["seed"] == 3
    assert held.recipe["name"] == "quick" and held.data["classes"] == list("0123456789")
    with trained.best.with_name("log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_top1"]) for row in rows] == [epoch.val_top1 for epoch in trained.epochs]
    assert {entry.name for entry in trained.best.parent.iterdir()} == {
        "best.safetensors",
        "last.safetensors",
        "log.csv",
    }


def test_equal_seeds_give_equal_files(
    trained: Trained, tiny: Network, recipe: Recipe, data: Data, tmp_path: Path
) -> None:
    again = train(tiny, recipe, data, tmp_path / "again", seed=3)
    other = train(tiny, recipe, data, tmp_path / "other", seed=4)
    assert again.last.read_bytes() == trained.last.read_bytes()
    assert other.last.read_bytes() != trained.last.read_bytes()


def test_a_training_is_not_overwritten_unasked(
    trained: Trained, tiny: Network, recipe: Recipe, data: Data, tmp_path: Path
) -> None:
    before = trained.last.read_bytes()
    with pytest.raises(FileExistsError, match=r"holds best\.safetensors of another training"):
        train(tiny, recipe, data, trained.last.parent)
    assert trained.last.read_bytes() == before
    (tmp_path / "last.safetensors").write_text("old")
    (tmp_path / "notes.txt").write_text("kept")
    train(tiny, recipe.lasting(1), data, tmp_path, overwrite=True)
    assert load(tmp_path / "last.safetensors").resolved is not None
    assert (tmp_path / "notes.txt").read_text() == "kept"


def test_learning_rate_follows_the_schedule(tiny: Network, data: Data, tmp_path: Path) -> None:
    recipe = Recipe(name="a", epochs=4, batch_size=64, lr=1e-2, warmup_epochs=1, warmup_lr=1e-3, min_lr=1e-4)
    heard = Heard()
    train(tiny, recipe, data, tmp_path, watch=heard)
    assert len(heard.updates) == 16
    assert heard.updates[:3] == pytest.approx([3.25e-3, 5.5e-3, 7.75e-3])
    assert max(heard.updates) == heard.updates[3] < 1e-2
    assert heard.updates[3:] == sorted(heard.updates[3:], reverse=True)
    assert heard.updates[-1] == pytest.approx(1e-4)


@pytest.mark.parametrize(
    "opt", ["sgd", "momentum", "adam", "adamw", "nadamw", "radam", "rmsprop", "lamb", "lars", "lion"]
)
def test_every_optimiser_lowers_the_loss(opt: str, tiny: Network, data: Data) -> None:
    rates = {"sgd": 0.05, "momentum": 0.05, "lars": 1.0, "lamb": 0.02, "lion": 1e-3}
    engine = Engine(tiny, Recipe(name="a", epochs=4, batch_size=64, opt=opt, lr=rates.get(opt, 5e-3)), data, 0)  # type: ignore[arg-type]
    losses = [loss for epoch in range(1, 4) for _, loss in engine.pass_over(epoch)]
    assert sum(losses[-4:]) < sum(losses[:4])


@pytest.mark.parametrize("sched", ["cosine", "poly", "step", "constant"])
def test_every_schedule_moves_as_named(sched: str, tiny: Network, data: Data) -> None:
    recipe = Recipe(name="a", epochs=2, batch_size=128, lr=1e-3, sched=sched, decay_epochs=1, decay_rate=0.5)  # type: ignore[arg-type]
    engine = Engine(tiny, recipe, data, 0)
    rates = []
    for epoch in (1, 2):
        for _ in engine.pass_over(epoch):
            rates.append(engine.lr)
    wanted = {
        "cosine": [8.536e-4, 5e-4, 1.464e-4, 0.0],
        "poly": [8.66e-4, 7.071e-4, 5e-4, 0.0],
        "step": [1e-3, 5e-4, 5e-4, 2.5e-4],
        "constant": [1e-3] * 4,
    }
    assert rates == pytest.approx(wanted[sched], rel=1e-3)


@pytest.mark.parametrize(
    "fields",
    [
        {"smoothing": 0.1},
        {"bce_loss": True, "smoothing": 0.1},
        {"mixup": 0.5},
        {"bce_loss": True, "cutmix": 1.0},
        {"drop_path": 0.2, "drop": 0.1},
        {"layer_decay": 0.7},
        {"weight_decay": 0.05, "model_ema": True, "model_ema_decay": 0.9},
    ],
)
def test_options_train_and_keep_the_digest(
    fields: dict[str, object], tiny: Network, data: Data, tmp_path: Path
) -> None:
    recipe = Recipe.model_validate({"name": "a", "epochs": 1, "batch_size": 64, "lr": 1e-3, **fields})
    done = train(tiny, recipe, data, tmp_path)
    assert header(done.last).network.digest == tiny.digest


def test_drop_path_and_dropout_reach_the_model(tiny: Network, data: Data) -> None:
    recipe = Recipe(name="a", epochs=1, batch_size=8, lr=1e-3, drop_path=0.3, drop=0.2)
    model = Engine(tiny, recipe, data, 0).kept
    assert model.stages[1].blocks[0].drop_path.rate == pytest.approx(0.3)
    assert model.head.drop.p == 0.2


def test_layer_decay_slows_the_stem(tiny: Network, data: Data) -> None:
    engine = Engine(tiny, Recipe(name="a", epochs=1, batch_size=8, lr=1e-3, layer_decay=0.5), data, 0)
    scales = {
        id(parameter): group.get("lr_scale", 1.0)
        for group in engine.optimiser.param_groups
        for parameter in group["params"]
    }
    model = engine.kept
    assert scales[id(model.stem.conv.weight)] < scales[id(model.head.fc.weight)] == 1.0


def test_weight_decay_spares_norms_biases_and_scales(tiny: Network, data: Data) -> None:
    engine = Engine(tiny, Recipe(name="a", epochs=1, batch_size=8, lr=1e-3, weight_decay=0.1), data, 0)
    decayed = {id(p) for group in engine.optimiser.param_groups if group["weight_decay"] for p in group["params"]}
    block = engine.kept.stages[1].blocks[0]
    assert id(block.mixer.qkv.weight) in decayed
    assert not {id(block.scale1), id(block.norm1.weight), id(engine.kept.head.fc.bias)} & decayed


def test_gradients_are_clipped(tiny: Network, data: Data) -> None:
    engine = Engine(tiny, Recipe(name="a", epochs=1, batch_size=8, lr=1e-3, clip_grad=1e-3), data, 0)
    seen: list[torch.Tensor] = []
    parameters = list(engine.kept.parameters())
    inner = engine.optimiser.optimizer
    inner.register_step_pre_hook(lambda *_: seen.append(get_total_norm([p.grad for p in parameters])))
    engine.update(torch.randn(8, 1, 8, 8), torch.arange(8))
    assert float(seen[0]) <= 1.001e-3


def test_mean_of_the_weights_is_what_is_kept(tiny: Network, data: Data) -> None:
    engine = Engine(tiny, Recipe(name="a", epochs=1, batch_size=64, lr=1e-2, model_ema=True), data, 0)
    list(engine.pass_over(1))
    moving = engine.accelerator.unwrap_model(engine.model)
    assert engine.kept is not moving
    assert not torch.equal(engine.kept.head.fc.weight, moving.head.fc.weight)
    start = fresh(tiny, 0).head.fc.weight
    assert (engine.kept.head.fc.weight - start).norm() < (moving.head.fc.weight - start).norm()


def test_diverging_loss_stops_with_a_complaint(tiny: Network, data: Data, tmp_path: Path) -> None:
    recipe = Recipe(name="a", epochs=3, batch_size=32, opt="sgd", lr=1e30)
    with pytest.raises(SpecError, match=r"the loss is (nan|inf) in epoch \d \(a smaller lr"):
        train(tiny, recipe, data, tmp_path)


def test_networks_with_other_classes_are_refused(tiny: Network, recipe: Recipe, data: Data, tmp_path: Path) -> None:
    other = replace(tiny, family=tiny.family.model_copy(update={"classes": 7}))
    with pytest.raises(SpecError, match="tiny has 7 classes, the data 10"):
        train(other, recipe, data, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_evaluation_counts(data: Data) -> None:
    class Oracle(torch.nn.Module):
        """Right about every class but 3, which it takes for 5 and second for 3."""

        def __init__(self) -> None:
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = 9 * torch.nn.functional.one_hot(x[:, 0, 0, 0].round().long(), 10).float()
            logits[:, 5] += (logits[:, 3] > 0) * 10.0
            return logits

    split = data.splits["test"]
    marked = replace(split, images=split.labels.float()[:, None, None, None].expand(-1, 1, 8, 8))
    seen = evaluate(Oracle(), marked, Inputs((8, 8), 1, 0.0, 1.0), data.classes)
    threes = int((split.labels == 3).sum())
    assert seen.images == len(split)
    assert seen.top1 == pytest.approx(100 * (1 - threes / len(split)), abs=1e-3)
    assert seen.top5 == 100
    assert seen.per_class["3"].right == 0 and seen.per_class["5"].top1 == 100
    assert seen.facts()["per_class"]["3"] == {"images": threes, "top1": 0.0}
