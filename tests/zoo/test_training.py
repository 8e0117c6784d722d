import csv
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate.utils import is_wandb_available
from timm.utils import ModelEmaV3
from torch.nn.utils import get_total_norm

from mixspec.compiler.errors import SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.recipe import Recipe
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo.classifier import Classifier
from mixspec.zoo.load import fresh
from mixspec.zoo.training.data import Batch, Data, Inputs, Key, Samples
from mixspec.zoo.training.engine import Engine
from mixspec.zoo.training.evaluate import evaluate
from mixspec.zoo.training.loop import OURS, Trained, train
from mixspec.zoo.training.mean import held
from mixspec.zoo.training.order import Order
from mixspec.zoo.training.settings import Settings
from mixspec.zoo.training.start import start
from mixspec.zoo.training.watch import Epoch, Pace, Watch
from mixspec.zoo.weights import header, load


class Heard(Watch):
    def __init__(self) -> None:
        self.updates: list[float] = []
        self.epochs: list[Epoch] = []
        self.said: list[str] = []

    def says(self, line: str) -> None:
        self.said.append(line)

    def update(self, epoch: int, images: int, loss: float, lr: float) -> None:
        self.updates.append(lr)

    def ends(self, epoch: Epoch, best: bool, pace: Pace) -> None:
        self.epochs.append(epoch)


def engine(network: Network, data: Data, **fields: object) -> Engine:
    recipe = Recipe.model_validate({"name": "a", "epochs": 1, "batch_size": 8, "lr": 1e-3, **fields})
    return Engine(network, recipe, data, Settings())


def rates_and_losses(engine: Engine, epochs: int) -> tuple[list[float], list[float]]:
    """Of every update of some epochs."""
    rates, losses, number = [], [], 0
    for epoch in range(epochs):
        for parts in engine.updates(epoch):
            engine.put(epoch, number)
            done, _ = engine.update(parts, epoch, number)
            number += 1
            rates.append(done.lr)
            losses.append(done.loss)
    return rates, losses


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
    "opt", ["sgd", "momentum", "adam", "adamw", "nadamw", "radam", "rmsprop", "lamb", "lars", "lion"]
)
def test_every_optimiser_lowers_the_loss(opt: str, tiny: Network, data: Data) -> None:
    rates = {"sgd": 0.05, "momentum": 0.05, "lars": 1.0, "lamb": 0.02, "lion": 1e-3}
    made = engine(tiny, data, epochs=4, batch_size=64, opt=opt, lr=rates.get(opt, 5e-3))
    _, losses = rates_and_losses(made, 3)
    assert sum(losses[-4:]) < sum(losses[:4])


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"sched": "cosine"}, [1e-3, 8.536e-4, 5e-4, 1.464e-4]),
        ({"sched": "cosine", "sched_on_updates": False}, [1e-3, 1e-3, 5e-4, 5e-4]),
        ({"sched": "poly", "decay_rate": 0.5}, [1e-3, 8.66e-4, 7.071e-4, 5e-4]),
        ({"sched": "step", "decay_epochs": 1, "decay_rate": 0.5}, [1e-3, 1e-3, 5e-4, 5e-4]),
        ({"sched": "multistep", "decay_milestones": (1,), "decay_rate": 0.5}, [1e-3, 1e-3, 5e-4, 5e-4]),
        ({"sched": "constant"}, [1e-3] * 4),
        ({"sched": "wsd", "decay_epochs": 0.5, "decay_fn": "linear"}, [1e-3, 1e-3, 1e-3, 5e-4]),
        ({"sched": "cosine", "cooldown_epochs": 1, "min_lr": 1e-4}, [1e-3, 8.682e-4, 5.5e-4, 2.318e-4, 1e-4, 1e-4]),
        ({"warmup_epochs": 1, "warmup_lr": 0.0}, [0.0, 5e-4, 5e-4, 1.464e-4]),
        ({"warmup_epochs": 1, "warmup_lr": 0.0, "warmup_prefix": True}, [0.0, 5e-4, 1e-3, 5e-4]),
    ],
)
def test_every_schedule_moves_as_named(
    fields: dict[str, object], wanted: list[float], tiny: Network, data: Data
) -> None:
    made = engine(tiny, data, epochs=2, batch_size=128, **fields)
    rates, _ = rates_and_losses(made, made.recipe.passes)
    assert rates == pytest.approx(wanted, rel=1e-3)


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


def test_drop_path_and_dropout_reach_the_model(tiny: Network, data: Data) -> None:
    model = engine(tiny, data, drop_path=0.3, drop=0.2).bare
    assert model.stages[1].blocks[0].drop_path.rate == pytest.approx(0.3)
    assert model.head.drop.p == 0.2


@pytest.mark.parametrize(("every", "again"), [(True, "stages.1.blocks.0"), ("mixer", "stages.1.blocks.0.mixer")])
def test_blocks_or_mixers_are_computed_again(every: bool | str, again: str, tiny: Network, data: Data) -> None:
    model = engine(tiny, data, grad_checkpointing=every).bare
    assert model.get_submodule(again).again
    assert sum(getattr(layer, "again", False) for layer in model.modules()) == sum(
        len(stage.blocks) for stage in model.stages
    )


@pytest.mark.parametrize(
    ("name", "every", "says"),
    [("resnet18", "mixer", "no token mixers"), ("hrnet_w18_small", "block", "checkpointing not supported")],
)
def test_a_network_of_timms_says_what_it_cannot_compute_again(name: str, every: str, says: str) -> None:
    network = resolve(parse(f"{{name: a, family: timm, model: {name}, image: 64}}"))
    recipe = Recipe.model_validate({"name": "a", "epochs": 1, "batch_size": 8, "lr": 1e-3, "grad_checkpointing": every})
    with pytest.raises(SpecError, match=says):
        start(network, recipe, 0)


def test_layer_decay_slows_the_stem(tiny: Network, data: Data) -> None:
    made = engine(tiny, data, layer_decay=0.5)
    scales = {
        id(parameter): group.get("lr_scale", 1.0)
        for group in made.optimiser.param_groups
        for parameter in group["params"]
    }
    assert scales[id(made.bare.stem.conv.weight)] < scales[id(made.bare.head.fc.weight)] == 1.0


@pytest.mark.parametrize(
    ("no_decay", "kept"),
    [("vectors", set()), ("hints", {"norm", "bias"}), ("norms", {"bias"}), ("nothing", {"norm", "bias", "scale"})],
)
def test_weight_decay_spares_what_it_is_told_to(no_decay: str, kept: set[str], tiny: Network, data: Data) -> None:
    made = engine(tiny, data, weight_decay=0.1, no_decay=no_decay)
    decayed = {id(p) for group in made.optimiser.param_groups if group["weight_decay"] for p in group["params"]}
    block, head = made.bare.stages[1].blocks[0], made.bare.head
    assert id(block.mixer.qkv.weight) in decayed
    vectors = {"scale": block.scale1, "norm": block.norm1.weight, "bias": head.fc.bias}
    assert {name for name, vector in vectors.items() if id(vector) in decayed} == kept


def test_gradients_are_clipped(tiny: Network, data: Data) -> None:
    made = engine(tiny, data, clip_grad=1e-3)
    seen: list[torch.Tensor] = []
    parameters = list(made.bare.parameters())
    inner = made.optimiser.optimizer
    inner.register_step_pre_hook(lambda *_: seen.append(get_total_norm([p.grad for p in parameters])))
    done, _ = made.update(next(made.updates(0)), 0, 0)
    assert float(seen[0]) <= 1.001e-3
    assert done.norm is not None and done.norm > 1e-2


def test_mean_of_the_weights_is_what_is_kept(tiny: Network, data: Data) -> None:
    made = engine(tiny, data, batch_size=64, lr=1e-2, model_ema=True)
    rates_and_losses(made, 1)
    moving = made.bare.head.fc.weight.detach().clone()
    with made.kept():
        kept = made.bare.head.fc.weight.detach().clone()
    start = fresh(tiny, 0).head.fc.weight
    assert torch.equal(made.bare.head.fc.weight, moving)
    assert 0 < (kept - start).norm() < (moving - start).norm()


@pytest.mark.parametrize("fields", [{}, {"model_ema_warmup": False}, {"model_ema_every": 3}, {"model_ema_start": 1}])
def test_mean_is_timms(fields: dict[str, object], tiny: Network, data: Data) -> None:
    made = engine(tiny, data, batch_size=32, lr=1e-2, epochs=2, model_ema=True, model_ema_decay=0.7, **fields)
    start = made.recipe.model_ema_start * made.order.updates
    theirs = ModelEmaV3(made.bare, 0.7, use_warmup=made.recipe.model_ema_warmup, update_after_step=start)
    for number, parts in enumerate(made.updates(0)):
        made.update(parts, 0, number)
        if (number + 1) % made.recipe.model_ema_every == 0:
            theirs.update(made.bare, step=number + 1)
    assert made.mean is not None
    for name, tensor in theirs.module.state_dict().items():
        assert torch.equal(tensor, made.mean.tensors[name]), name


def test_parts_of_an_update_add_up_to_the_whole(tiny: Network, data: Data) -> None:
    whole, parts = engine(tiny, data, batch_size=64), engine(tiny, data, batch_size=64, grad_accum_steps=4)
    for made in (whole, parts):  # batch norm, which sees batches, is none of it
        made.bare.eval()
        made.task.train = lambda: None
        made.update(next(made.updates(0)), 0, 0)
    for one, other in zip(whole.bare.parameters(), parts.bare.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_repeated_augmentation_keeps_the_epochs_length(tiny: Network, data: Data) -> None:
    order = engine(tiny, data, batch_size=64, aug_repeats=4).order
    keys = order.keys(0)
    assert len(keys) == 256 and len({key.index for key in keys}) == 64
    assert {key.copy for key in keys} == {0, 1, 2, 3}
    slots = [slot for rank in (0, 1) for slot in Order(256, 64, 2, 2, 0, 4).slots(0, rank)]
    assert all(len({key.index for key in slot}) == len(slot) for slot in slots)


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
    assert seen.facts()["per_class"]["3"].items() >= {"images": threes, "top1": 0.0}.items()


def test_training_starts_from_other_weights(trained: Trained, tiny: Network, data: Data) -> None:
    made = engine(tiny, data, init=str(trained.best))
    assert torch.equal(made.bare.stem.conv.weight, load(trained.best).stem.conv.weight)
    larger = replace(tiny, about=tiny.about.model_copy(update={"image": 16}))
    fewer = replace(larger, family=tiny.family.model_copy(update={"classes": 3}))
    model = start(fewer, Recipe(name="a", epochs=1, batch_size=8, lr=1e-3, init=str(trained.best)), 0)
    assert model.head.fc.weight.shape[0] == 3
    assert model.resolved is not None and model.resolved.about.image == 16
    with pytest.raises(SpecError, match=r"MX804 .* holds another network than tiny"):
        other = replace(tiny, family=tiny.family.model_copy(update={"res_scale": (True, True)}))
        engine(other, data, init=str(trained.best))


def test_teacher_draws_the_student_to_its_answers(trained: Trained, tiny: Network, data: Data) -> None:
    made = engine(tiny, data, batch_size=64, lr=1e-2, teacher=str(trained.best), teacher_weight=1.0)
    _, losses = rates_and_losses(made, 1)
    assert losses[-1] < losses[0]
    assert not any(parameter.requires_grad for parameter in made.task.teacher.parameters())
    other = replace(data, classes=tuple("abcdefghij"))
    with pytest.raises(SpecError, match=r"the teacher .* knows other classes than the data"):
        engine(tiny, other, teacher=str(trained.best))


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


@pytest.mark.slow
def test_compiled_networks_train(tiny: Network, data: Data) -> None:
    plain, compiled = (engine(tiny, data, batch_size=64, epochs=1, compile=wanted) for wanted in (False, True))
    ours, theirs = (rates_and_losses(made, 1)[1] for made in (plain, compiled))
    assert theirs == pytest.approx(ours, rel=1e-3)
