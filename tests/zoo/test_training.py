"""A training from its beginning to its end: what it learns, what it leaves, and what it refuses."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
from accelerate.utils import is_wandb_available

from mixspec.compiler.errors import SpecError
from mixspec.compiler.recipe import Recipe
from mixspec.compiler.resolve import Network
from mixspec.zoo.classifier import Classifier
from mixspec.zoo.training.data import Data
from mixspec.zoo.training.evaluate import evaluate
from mixspec.zoo.training.loop import OURS, Trained, train
from mixspec.zoo.training.settings import Settings
from mixspec.zoo.weights import header, load

from .engines import Heard


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
    assert {entry.name for entry in trained.best.parent.iterdir()} == {*OURS} - {"tensorboard"} | {"run.lock"}


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
    assert heard.updates[:4] == pytest.approx([1e-3, 3.25e-3, 5.5e-3, 7.75e-3])
    assert max(heard.updates) == heard.updates[4] < 1e-2
    assert heard.updates[4:] == sorted(heard.updates[4:], reverse=True)
    assert heard.updates[-1] == pytest.approx(1e-4 + 0.5 * 9.9e-3 * (1 + math.cos(math.pi * 15 / 16)))


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
        {"grad_accum_steps": 2, "aug_repeats": 3, "precision": "bf16", "grad_checkpointing": True},
        {"grad_checkpointing": "mixer"},
        {"clip_grad": 0.1, "clip_mode": "agc", "channels_last": True},
        {"clip_grad": 0.1, "clip_mode": "value", "train_size": 16},
    ],
)
def test_options_train_and_keep_the_digest(
    fields: dict[str, object], tiny: Network, data: Data, tmp_path: Path
) -> None:
    recipe = Recipe.model_validate({"name": "a", "epochs": 1, "batch_size": 64, "lr": 1e-3, **fields})
    done = train(tiny, recipe, data, tmp_path)
    assert header(done.last).network.digest == tiny.digest


def test_half_precision_that_the_cpu_has_not_is_said(tiny: Network, data: Data, tmp_path: Path) -> None:
    """Accelerate computes in fp32 then, without a word."""
    said = {}
    for precision in ("fp32", "fp16"):
        heard = Heard()
        recipe = Recipe.model_validate({"name": "a", "epochs": 1, "batch_size": 64, "lr": 1e-3, "precision": precision})
        done = train(tiny, recipe, data, tmp_path / precision, settings=Settings(cpu=True), watch=heard)
        said[precision] = heard.said
        assert done.summary.startswith("1 epoch, ")
    assert said == {"fp32": [], "fp16": ["WARNING: there is no fp16 on the CPU; all is computed in fp32"]}


def test_networks_with_other_classes_are_refused(tiny: Network, recipe: Recipe, data: Data, tmp_path: Path) -> None:
    other = replace(tiny, family=tiny.family.model_copy(update={"classes": 7}))
    with pytest.raises(SpecError, match="tiny has 7 classes, the data 10"):
        train(other, recipe, data, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_tensorboard_hears_of_updates_and_epochs(tiny: Network, recipe: Recipe, data: Data, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    settings = Settings(log_every=4, trackers=("tensorboard",))
    done = train(tiny, recipe, data, tmp_path / "run", settings=settings)
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [4, 8, 12, 16]
    assert [event.value for event in events.Scalars("val/top1")] == pytest.approx([e.val_top1 for e in done.epochs])


def test_a_tracker_that_is_not_installed_is_refused(tiny: Network, recipe: Recipe, data: Data, tmp_path: Path) -> None:
    if is_wandb_available():
        pytest.skip("wandb is installed")
    with pytest.raises(SpecError, match=r"MX818 wandb is not installed \(pip install wandb\)"):
        train(tiny, recipe, data, tmp_path / "run", settings=Settings(trackers=("wandb",)))
    assert not (tmp_path / "run").exists()
