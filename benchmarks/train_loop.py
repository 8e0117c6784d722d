"""The training loop beside a plain loop of timm's parts, on the same network and the very same images."""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from timm.loss import SoftTargetCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import AverageMeter, CheckpointSaver, ModelEmaV3, accuracy, dispatch_clip_grad, update_summary
from torch import nn
from torch.utils.data import DataLoader

from mixspec.compiler.recipe import Recipe
from mixspec.zoo.load import fresh, network
from mixspec.zoo.training.augment import Mix
from mixspec.zoo.training.data import Data, Key, as_is, open_data
from mixspec.zoo.training.data.values import Split
from mixspec.zoo.training.engine import Engine
from mixspec.zoo.training.loop import Run
from mixspec.zoo.training.settings import Settings
from mixspec.zoo.training.stopping import Wish
from mixspec.zoo.training.watch import Watch

from ._measure import Figure, agree, clock

THREADS = 1
NETWORK, IMAGES = "digits_cadasp", 320
PLAIN: dict[str, Any] = {"name": "plain", "epochs": 1000, "batch_size": 64, "lr": 1e-3, "weight_decay": 0.05}
FULL = {**PLAIN, "mixup": 0.8, "cutmix": 1.0, "smoothing": 0.1, "clip_grad": 1.0, "model_ema": True}


def figures(quick: bool) -> Iterator[Figure]:
    """One epoch of 320 digits with a small CADAsp network, batches of 64, seconds; validation where a file is written.

    timm's side is a loop as its training script has it, less what one process does not need: `create_optimizer_v2`,
    `create_scheduler_v2`, `Mixup`, `ModelEmaV3`, `dispatch_clip_grad`, `CheckpointSaver`, `update_summary`. Both sides
    read the same augmented images from the same `DataLoader`. The last figures say what each part of ours adds.
    """
    data = some(IMAGES // 2 if quick else IMAGES)
    ours, theirs = Ours(PLAIN, data), Theirs(PLAIN, data)
    ours.epoch(), theirs.epoch()
    agree(ours.engine.bare.head.fc.weight, theirs.model.head.fc.weight, 1e-5)
    yield Figure("AdamW, cosine", clock(ours.epoch), "timm's parts", clock(theirs.epoch), goal=1.0, speed=True)
    full, timms = Ours(FULL, data), Theirs(FULL, data)
    yield Figure(
        "and mixup, running mean, clipping", clock(full.epoch), "timm's parts", clock(timms.epoch), goal=1.0, speed=True
    )
    with tempfile.TemporaryDirectory() as folder:
        kept, saved = Ours(FULL, data, Path(folder) / "ours"), Theirs(FULL, data, Path(folder))
        yield Figure(
            "and validation, logs, weights, a checkpoint",
            clock(kept.whole), "timm's parts", clock(saved.whole), goal=1.0, speed=True,
            note="ours are synced to the disk and checked by SHA-256, timm's are not",
        )  # fmt: skip
        mean = Ours({**PLAIN, "model_ema": True}, data)
        yield Figure("running mean", clock(mean.epoch), "without", clock(ours.epoch))
        logged = Ours(PLAIN, data, Path(folder) / "logged")
        yield Figure("a row of updates.csv every update", clock(logged.logged), "without", clock(ours.epoch))
        yield Figure("checkpoint", clock(logged.run.checkpoint), "an epoch", clock(ours.epoch))


def some(images: int) -> Data:
    """The first of the digits."""
    whole = open_data("digits")
    few: Any = {name: Split(split.images[:images], split.labels[:images]) for name, split in whole.splits.items()}
    return replace(whole, splits=few)


class Ours:
    """Our loop, with a folder or without."""

    def __init__(self, fields: dict[str, Any], data: Data, folder: Path | None = None) -> None:
        recipe = Recipe.model_validate(fields)
        self.engine = Engine(network(NETWORK), recipe, data, Settings(cpu=True, log_every=1, overwrite=True))
        self.updates = 0
        if folder:
            folder.mkdir(parents=True)
            self.run = Run(self.engine, folder, Watch(), Wish())
            self.run.begin()

    def epoch(self) -> None:
        for parts in self.engine.updates(0):
            self.engine.put(0, self.updates)
            self.engine.update(parts, 0, self.updates)
            self.updates += 1

    def logged(self) -> None:
        progress = self.run.progress
        for parts in self.engine.updates(0):
            self.engine.put(0, self.updates)
            done, _ = self.engine.update(parts, 0, self.updates)
            progress = progress.after(done)
            self.run.journal.update(progress, done)
            self.updates += 1
        self.run.journal.flush()

    def whole(self) -> None:
        self.run.epoch()


class Theirs:
    """A plain loop of timm's parts."""

    def __init__(self, fields: dict[str, Any], data: Data, folder: Path | None = None) -> None:
        self.recipe = recipe = Recipe.model_validate(fields)
        engine = Engine(network(NETWORK), recipe, data, Settings(cpu=True))
        self.order, self.samples = engine.order, engine._samples()
        self.tested = data.splits["val"].samples(engine.inputs)
        self.model = fresh(network(NETWORK), 0).train()
        self.optimiser = create_optimizer_v2(self.model, "adamw", lr=recipe.peak, weight_decay=recipe.weight_decay)
        self.schedule, _ = create_scheduler_v2(
            self.optimiser, "cosine", recipe.epochs, warmup_lr=1e-6, step_on_epochs=False,
            updates_per_epoch=self.order.updates,
        )  # fmt: skip
        mix = Mix.of(recipe, len(data.classes))
        self.mix: Callable[..., Any] | None = mix.mix if mix else None
        self.loss: nn.Module = SoftTargetCrossEntropy() if mix else nn.CrossEntropyLoss()
        self.mean = ModelEmaV3(self.model, recipe.model_ema_decay, use_warmup=True) if recipe.model_ema else None
        self.updates = self.epochs = 0
        self.folder = folder
        if folder:
            (folder / "timm").mkdir()
            where = {"checkpoint_dir": str(folder / "timm"), "recovery_dir": str(folder / "timm"), "max_history": 2}
            self.saver = CheckpointSaver(self.model, self.optimiser, model_ema=self.mean, **where)

    def epoch(self) -> float:
        self.model.train()
        meter = AverageMeter()
        batches = DataLoader(self.samples, batch_sampler=list(self.order.slots(0, 0)), collate_fn=as_is)
        for batch in batches:
            x, target = self.mix(batch.images, batch.labels) if self.mix else (batch.images, batch.labels)
            loss = self.loss(self.model(x), target)
            self.optimiser.zero_grad()
            loss.backward()
            if self.recipe.clip_grad:
                dispatch_clip_grad(self.model.parameters(), self.recipe.clip_grad)
            self.optimiser.step()
            self.updates += 1
            if self.mean:
                self.mean.update(self.model, step=self.updates)
            meter.update(loss.item(), len(target))
            self.schedule.step_update(self.updates)
        return meter.avg

    @torch.inference_mode()
    def validated(self) -> OrderedDict[str, float]:
        model = self.mean.module if self.mean else self.model
        model.eval()
        losses, top1, top5 = AverageMeter(), AverageMeter(), AverageMeter()
        keys = [Key(0, index) for index in range(len(self.tested))]
        lists = [keys[start : start + 256] for start in range(0, len(keys), 256)]
        for batch in DataLoader(self.tested, batch_sampler=lists, collate_fn=as_is):
            output = model(batch.images)
            first, five = accuracy(output, batch.labels, topk=(1, 5))
            losses.update(nn.functional.cross_entropy(output, batch.labels).item(), len(output))
            top1.update(first.item(), len(output))
            top5.update(five.item(), len(output))
        return OrderedDict(loss=losses.avg, top1=top1.avg, top5=top5.avg)

    def whole(self) -> None:
        loss, seen = self.epoch(), self.validated()
        assert self.folder, "made with a folder"
        update_summary(
            self.epochs, {"loss": loss}, seen, str(self.folder / "timm" / "summary.csv"), lr=1e-3,
            write_header=self.epochs == 0,
        )  # fmt: skip
        self.saver.save_checkpoint(self.epochs, metric=seen["top1"])
        self.epochs += 1
