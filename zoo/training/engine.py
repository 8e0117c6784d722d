"""A model with everything that moves its weights: one call is one update, over all processes.

Distribution is Hugging Face Accelerate's: one process, or what ``accelerate launch`` started (DDP, FSDP2). Whatever is
drawn at random follows from seed, update and slot (see ``order``), so a run can go on anywhere.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.nn.parallel import DistributedDataParallel

from ...compiler.backbone import Backbone
from ...compiler.lower import lower
from ...compiler.recipe import Recipe
from ...compiler.resolve import Network
from .augment import Mix
from .chance import seed_of
from .data import Batch, Data, Inputs
from .loader import Loader
from .losses import task
from .mean import Mean, local
from .optim import clip, optimiser
from .order import Order
from .progress import Update
from .schedule import follow, schedule
from .settings import Settings
from .start import regularised, start, synchronised
from .validate import Validation, validate

PRECISION = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
FORWARD = 0x0F0D
"""Keeps the random numbers inside the model apart from those of images and order."""


class Engine:
    """Model, optimiser, schedule, running mean and training images, on the devices that Accelerate finds."""

    def __init__(self, network: Network, recipe: Recipe, data: Data, settings: Settings) -> None:
        self.network, self.recipe, self.data, self.settings = network, recipe, data, settings
        self.accelerator = accelerator(recipe, settings)
        self.inputs = Inputs.of(network, data.facts(), recipe.told())
        self.order = Order.of(recipe, len(data.splits["train"]), self.ranks, settings.seed)
        self.loader = Loader(self._samples(), self.order, self.rank, settings.workers)
        self.mix = Mix.of(recipe, len(data.classes))
        self.bare = self._bare()
        self.model, self.optimiser = self._prepared()
        self.bare = self.accelerator.unwrap_model(self.model)
        if isinstance(self.model, DistributedDataParallel):
            self.model.broadcast_buffers = False  # see _agree
        self.task = task(self.model, recipe, self.inputs, data.classes, self.accelerator.device)
        self.schedule = schedule(self.optimiser.optimizer, recipe, self.order.updates)
        self.mean = Mean(self.bare, recipe, self.order.updates) if recipe.model_ema else None
        self.buffers = [local(buffer) for buffer in self.bare.buffers() if buffer.is_floating_point()]
        self.before = [buffer.clone() for buffer in self.buffers]

    def _samples(self) -> Any:
        size = self.recipe.train_size
        inputs = replace(self.inputs, crop=1.0, size=(size, size) if size else self.inputs.size)
        return self.data.splits["train"].samples(inputs, self.recipe, self.settings.seed)

    def _bare(self) -> Any:
        model: nn.Module = start(self.network, self.recipe, self.settings.seed)
        if self.recipe.sync_bn and self.ranks > 1:
            model = synchronised(model, self.accelerator.device)
        if self.recipe.compile:
            model.compile()
        return model

    def _prepared(self) -> Any:
        """Model and optimiser as Accelerate distributes them."""
        return self.accelerator.prepare(self.bare, optimiser(self.bare, self.recipe))

    @property
    def rank(self) -> int:
        return self.accelerator.process_index

    @property
    def ranks(self) -> int:
        return self.accelerator.num_processes

    @property
    def first(self) -> bool:
        """Whether this process speaks for all."""
        return self.accelerator.is_main_process

    @property
    def sharded(self) -> bool:
        """Whether every process holds only a part of the weights."""
        return bool(self.accelerator.is_fsdp2)

    @property
    def half_refused(self) -> bool:
        """Whether the recipe wants fp16 and Accelerate, which has none on the CPU, computes in fp32."""
        return self.recipe.precision == "fp16" and not self.accelerator.native_amp

    @property
    def lr(self) -> float:
        return max(group["lr"] for group in self.optimiser.param_groups)

    def updates(self, epoch: int, start: int = 0) -> Iterator[list[Batch]]:
        """The images of an epoch, counted from 0, from the update ``start`` on, ready to train with."""
        self.task.train()
        if self.mix:
            off = self.recipe.mixup_off_epoch
            self.mix.mix.mixup_enabled = not off or epoch < off
        return self.loader.updates(epoch, start)

    def put(self, epoch: int, updates: int) -> None:
        """Set the learning rate of the next update."""
        follow(self.schedule, epoch, updates)

    def update(
        self, parts: Sequence[Batch], epoch: int, number: int, flags: Sequence[float] = ()
    ) -> tuple[Update, list[float]]:
        """One step of the optimiser: the parts' gradients, weighted by their images, over all processes.

        ``number`` is that of the update, counted from 0 over all epochs. Where loss or gradient is not finite, weights
        and buffers stay what they were. Also returns the sums of ``flags`` over the processes.
        """
        if self.buffers:
            torch._foreach_copy_(self.before, self.buffers)
        lr, images = self.lr, self._summed([float(sum(len(batch.labels) for batch in parts))])
        most = images[0].clamp(min=1) if isinstance(images[0], Tensor) else max(images[0], 1)
        loss = torch.zeros((), device=self.accelerator.device)
        for part, batch in enumerate(parts):
            last = part == len(parts) - 1
            share = len(batch.labels) / most
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                found = self._forward(batch, epoch, number, part)
                loss += found.detach() * share
                told = self._summed([loss, *flags]) if last else None
                self.accelerator.backward(found * (share * self.ranks))
        assert told is not None, "an update has a last part"
        mean, *sums = map(float, told)  # read here, when backward is on its way
        seen = int(images[0])
        norm, skipped = self._step(mean if seen else math.nan)
        if not skipped:
            self._agree()
            if self.mean:
                self.mean.update(number + 1)
        return Update(seen, mean if seen else math.nan, lr, norm, skipped), sums

    def _forward(self, batch: Batch, epoch: int, number: int, part: int) -> Tensor:
        """The mean loss of one slot. A slot whose images could all not be read gives a loss that weighs nothing."""
        device, slot = self.accelerator.device, part * self.ranks + self.rank
        images, target = batch.images, batch.labels
        if not len(target):
            images, target = torch.zeros(2, *self._shape), torch.zeros(2, dtype=torch.long)
        if self.mix:
            images, target = self.mix(images, target, (self.settings.seed, epoch, number, slot))
        seed_all(seed_of(self.settings.seed, FORWARD, number, slot), device)
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with self.accelerator.autocast():
            return self.task(images.to(device, non_blocking=True), target.to(device, non_blocking=True))["loss"]

    @property
    def _shape(self) -> tuple[int, int, int]:
        size = self.recipe.train_size
        return (self.inputs.channels, *((size, size) if size else self.inputs.size))

    def _summed(self, values: Sequence[float | Tensor]) -> Sequence[float | Tensor]:
        """The sums over the processes, on the device where there are several."""
        if self.ranks == 1:
            return values
        device = self.accelerator.device
        return self.accelerator.reduce(torch.stack([torch.as_tensor(one, device=device) for one in values]))

    def _agree(self) -> None:
        """Running statistics become their means over the processes, so that all have the same weights."""
        if self.ranks > 1 and self.buffers and not self.recipe.sync_bn:
            flat = torch.cat([buffer.flatten() for buffer in self.buffers])
            mean = self.accelerator.reduce(flat, "mean").split([buffer.numel() for buffer in self.buffers])
            torch._foreach_copy_(self.buffers, [one.view_as(to) for one, to in zip(mean, self.buffers, strict=True)])

    def _step(self, loss: float) -> tuple[float | None, bool]:
        """Clip and step, or leave it. Returns the gradient's norm, if known, and whether it was left."""
        norm = clip(self.accelerator, self.model.parameters(), self.recipe) if math.isfinite(loss) else None
        # a gradient that overflowed in half precision is the scaler's business
        bad = norm is not None and not math.isfinite(norm) and self.accelerator.scaler is None
        skipped = bad or not math.isfinite(loss)
        if skipped:
            if self.buffers:
                torch._foreach_copy_(self.buffers, self.before)
        else:
            self.optimiser.step()
        self.optimiser.zero_grad()
        return norm, skipped

    def kept(self) -> AbstractContextManager[None]:
        """Within, the model has the weights that are evaluated and written: the running mean where there is one."""
        return self.mean.inside() if self.mean else nullcontext()

    def validate(self, unread: Callable[[Sequence[Batch]], None] | None = None) -> Validation:
        """The accuracy of the kept weights on the validation images, or on the test images where there are none."""
        split = self.data.splits.get("val") or self.data.splits["test"]
        with self.kept():
            model = self.model if self.sharded else self.bare
            return validate(model, split.samples(self.inputs), self.accelerator, self.settings.workers, unread)

    @contextmanager
    def whole(self) -> Iterator[Backbone]:
        """Within, the kept weights as one model, on the first process; to be called on all."""
        with self.kept():
            if not self.sharded:
                yield self.bare
                return
            state = get_model_state_dict(self.bare, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
            model = lower(regularised(self.network, self.recipe), device="meta")
            if self.first:
                model.load_state_dict(state, strict=True, assign=True)
            yield model


def accelerator(recipe: Recipe, settings: Settings) -> Accelerator:
    """Accelerate's view of the machines, in the recipe's precision."""
    AcceleratorState._reset_state()  # another training in this process may have had another precision
    # kernels of one channel have two names for the same strides
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides", UserWarning)
    ddp = DistributedDataParallelKwargs(gradient_as_bucket_view=True)
    return Accelerator(mixed_precision=PRECISION[recipe.precision], cpu=settings.cpu, kwargs_handlers=[ddp])


def seed_all(seed: int, device: torch.device) -> None:
    """Python, NumPy and torch, on the CPU and on one device."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed costs a millisecond where there is no GPU
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
