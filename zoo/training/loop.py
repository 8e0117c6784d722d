"""The training loop: timm's optimisers, schedules, losses and augmentation, on Hugging Face Accelerate."""

from __future__ import annotations

import csv
import errno
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, set_seed
from timm.loss import BinaryCrossEntropy, LabelSmoothingCrossEntropy, SoftTargetCrossEntropy  # type: ignore[attr-defined]
from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]
from timm.scheduler import create_scheduler_v2  # type: ignore[attr-defined]
from timm.utils import ModelEmaV3  # type: ignore[attr-defined]
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from ...compiler.backbone import Backbone
from ...compiler.errors import SpecError
from ...compiler.recipe import Recipe
from ...compiler.resolve import Network
from ..atomic import replacing
from ..load import fresh
from ..weights import save
from .augment import Augment
from .data import Data, Inputs, Split
from .evaluate import Evaluation, evaluate, fits
from .watch import Epoch, Watch

DIVERGED = "MX813"
BEST, LAST, LOG = "best.safetensors", "last.safetensors", "log.csv"


@dataclass(frozen=True)
class Trained:
    """What a training leaves: the files, every epoch, and which of them was best on the validation images."""

    best: Path
    last: Path
    epochs: tuple[Epoch, ...]
    best_epoch: Epoch


def train(
    network: Network,
    recipe: Recipe,
    data: Data,
    output: Path,
    *,
    seed: int = 0,
    overwrite: bool = False,
    watch: Watch | None = None,
) -> Trained:
    """Train from fresh weights. After every epoch ``output`` holds last.safetensors, best.safetensors and log.csv.

    Equal arguments give equal weights, bit by bit, on the same machine. Sets the seeds of Python, NumPy and torch.
    Raises SpecError where network and data do not fit or the loss diverges, FileExistsError where ``output`` holds a
    training already.
    """
    fits(network, data.classes)
    occupied(output, overwrite)
    engine = Engine(network, recipe, data, seed)
    output.mkdir(parents=True, exist_ok=True)
    return engine.run(output, watch or Watch())


def occupied(output: Path, overwrite: bool) -> None:
    """Raise FileExistsError where a training has left its files, unless they may be replaced."""
    there = [name for name in (BEST, LAST, LOG) if (output / name).exists()]
    if there and not overwrite:
        raise FileExistsError(
            errno.EEXIST, f"holds {there[0]} of another training; it stays unless overwriting is asked for", str(output)
        )


class Engine:
    """A model with everything that moves its weights."""

    def __init__(self, network: Network, recipe: Recipe, data: Data, seed: int) -> None:
        self.recipe, self.data, self.seed = recipe, data, seed
        self.accelerator = Accelerator(dataloader_config=DataLoaderConfiguration(split_batches=True))
        set_seed(seed)
        self.inputs = Inputs.of(network, data.facts())
        self.augment = Augment.of(recipe, self.inputs, len(data.classes))
        self.loss = criterion(recipe)
        bare = fresh(_regularised(network, recipe), seed)
        optimiser = create_optimizer_v2(
            bare,
            recipe.opt,
            lr=recipe.peak,
            weight_decay=recipe.weight_decay,
            momentum=recipe.momentum,
            layer_decay=recipe.layer_decay,
        )
        batches = loader(data.splits["train"], recipe, seed)
        self.model, self.optimiser, self.batches = self.accelerator.prepare(bare, optimiser, batches)
        self.schedule = schedule(optimiser, recipe, len(self.batches))
        self.ema = ModelEmaV3(bare, decay=recipe.model_ema_decay, use_warmup=True) if recipe.model_ema else None
        self.updates = 0

    @property
    def kept(self) -> Backbone:
        """The model that is evaluated and written: the running mean where there is one."""
        return self.ema.module if self.ema else self.accelerator.unwrap_model(self.model)

    @property
    def lr(self) -> float:
        return max(group["lr"] for group in self.optimiser.param_groups)

    def run(self, output: Path, watch: Watch) -> Trained:
        """All epochs; the files are written after each."""
        watch.starts(self.recipe.epochs, len(self.batches) * self.recipe.batch_size)
        done: list[Epoch] = []
        best: Epoch | None = None
        for number in range(1, self.recipe.epochs + 1):
            epoch = self.epoch(number, watch)
            done.append(epoch)
            better = best is None or (epoch.val_top1, -epoch.val_loss) > (best.val_top1, -best.val_loss)
            best = epoch if better or best is None else best
            if self.accelerator.is_main_process:
                self.write(output, done, epoch, better)
            watch.ends(epoch, better)
        self.accelerator.wait_for_everyone()
        assert best is not None, "a recipe has at least one epoch"
        return Trained(output / BEST, output / LAST, tuple(done), best)

    def epoch(self, number: int, watch: Watch) -> Epoch:
        """One pass over the training images, then the validation images."""
        start, images, total, lr = time.perf_counter(), 0, 0.0, self.lr
        for count, loss in self.pass_over(number):
            images, total = images + count, total + loss * count
            watch.update(number, count, loss, self.lr)
        seconds = time.perf_counter() - start
        seen = self.evaluate("val")
        return Epoch(
            number,
            round(total / images, 6),
            lr,
            round(images / seconds, 1),
            round(seconds, 3),
            seen.top1,
            seen.top5,
            seen.loss,
        )

    def pass_over(self, epoch: int) -> Iterator[tuple[int, float]]:
        """One update after another: images seen by all processes, and their mean loss."""
        self.model.train()
        for images, labels in self.batches:
            loss = self.update(*self.augment(images.cpu(), labels.cpu()))
            if not math.isfinite(loss):
                raise SpecError.of(DIVERGED, f"the loss is {loss} in epoch {epoch}", "a smaller lr, or clip_grad: 1.0")
            yield len(labels) * self.accelerator.num_processes, loss

    def update(self, x: Tensor, target: Tensor) -> float:
        """One step of the optimiser; the mean loss over all processes."""
        device = self.accelerator.device
        loss = self.loss(self.model(x.to(device)), target.to(device))
        self.accelerator.backward(loss)
        if self.recipe.clip_grad:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.clip_grad)
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.updates += 1
        self.schedule.step_update(self.updates)
        if self.ema:
            self.ema.update(self.accelerator.unwrap_model(self.model), step=self.updates)
        return float(self.accelerator.reduce(loss.detach(), "mean"))

    def evaluate(self, split: Any) -> Evaluation:
        """The kept model's accuracy on a split."""
        return evaluate(self.kept, self.data.splits[split], self.inputs, self.data.classes)

    def write(self, output: Path, done: list[Epoch], epoch: Epoch, better: bool) -> None:
        """The weights with what is known of them, and the log."""
        metrics = {"data": self.data.name, "seed": self.seed, **asdict(epoch)}
        del metrics["seconds"], metrics["images_per_second"]  # equal trainings write equal files
        for name in (LAST, BEST) if better else (LAST,):
            save(self.kept, output / name, metrics=metrics, recipe=self.recipe.told(), data=self.data.facts())
        with replacing(output / LOG) as temporary, temporary.open("w", newline="") as file:
            table = csv.DictWriter(file, [field.name for field in fields(Epoch)])
            table.writeheader()
            table.writerows(asdict(row) for row in done)


def _regularised(network: Network, recipe: Recipe) -> Network:
    """The network with the recipe's dropout and stochastic depth, which are no part of its digest."""
    wanted = {"drop_path": recipe.drop_path, "head_dropout": recipe.drop}
    update = {name: rate for name, rate in wanted.items() if rate is not None}
    return replace(network, family=network.family.model_copy(update=update))


def criterion(recipe: Recipe) -> nn.Module:
    """The loss; mixed targets come smoothed already."""
    if recipe.bce_loss:
        return BinaryCrossEntropy(smoothing=0.0 if recipe.mixes else recipe.smoothing)
    if recipe.mixes:
        return SoftTargetCrossEntropy()
    return LabelSmoothingCrossEntropy(recipe.smoothing) if recipe.smoothing else nn.CrossEntropyLoss()


def loader(split: Split, recipe: Recipe, seed: int) -> DataLoader[Any]:
    """The training images in another order every epoch; those that do not fill the last batch are left out of it."""
    size = min(recipe.batch_size, len(split) - len(split) % 2)  # mixing pairs up the images of a batch
    order = torch.Generator().manual_seed(seed)
    return DataLoader(TensorDataset(split.images, split.labels), size, shuffle=True, generator=order, drop_last=True)


def schedule(optimiser: torch.optim.Optimizer, recipe: Recipe, updates_per_epoch: int) -> Any:
    """The learning rate of every update."""
    made, _ = create_scheduler_v2(
        optimiser,
        recipe.sched,
        num_epochs=recipe.epochs,
        decay_epochs=recipe.decay_epochs or 30,
        decay_rate=recipe.decay_rate,
        min_lr=recipe.min_lr,
        warmup_lr=recipe.warmup_lr,
        warmup_epochs=recipe.warmup_epochs,
        step_on_epochs=False,
        updates_per_epoch=updates_per_epoch,
    )
    return made
