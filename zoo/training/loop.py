"""A training from its start, or from where it stopped, to its end: epochs, checkpoints, logs, the best weights."""

from __future__ import annotations

import errno
import math
import resource
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any, TypeVar

import torch

from ...compiler.errors import Problem, SpecError
from ...compiler.recipe import Recipe
from ...compiler.resolve import Network
from ..atomic import replacing
from ..weights import save
from . import manifest, state
from .checkpoint import FOLDER, Checkpoint, Store
from .data import UNFIT, Batch, Data
from .data.bad_images import NAME as BAD_IMAGES
from .data.bad_images import BadImages
from .engine import Engine
from .evaluate import fits
from .journal import LOGS, TIMINGS, Journal
from .lock import locked
from .progress import Progress, Update
from .settings import Settings
from .stopping import Stopped, Wish, listening
from .tables import rows
from .trackers import installed
from .watch import Epoch, Pace, Watch

DIVERGED, NO_CHECKPOINT = "MX813", "MX817"
BEST, LAST = "best.safetensors", "last.safetensors"
OURS = (BEST, LAST, *LOGS, manifest.RUN, FOLDER)
"""What a run leaves in its folder."""

T = TypeVar("T")


@dataclass(frozen=True)
class Trained:
    """What a training leaves: the files, every epoch, and which of them was best on the validation images."""

    best: Path
    last: Path
    epochs: tuple[Epoch, ...]
    best_epoch: Epoch
    skipped: int = 0
    """Updates left out for a loss or a gradient that was not finite."""

    @property
    def summary(self) -> str:
        """Epochs, seconds and images a second of training, and memory, over all sessions of the run."""
        paces = [{key: float(value) for key, value in row.items()} for row in rows(self.best.with_name(TIMINGS))]
        seconds = sum(pace["seconds"] for pace in paces)
        images = sum(pace["seconds"] * pace["images_per_second"] for pace in paces)
        memory = max((pace["memory_bytes"] for pace in paces), default=0.0)
        rate = f"{images / seconds:.0f} images/s" if seconds else "no time at all"
        length = "1 epoch" if len(self.epochs) == 1 else f"{len(self.epochs)} epochs"
        return f"{length}, {seconds:.0f} s of training, {rate}, {memory / 2**20:.0f} MiB"


def train(
    network: Network,
    recipe: Recipe,
    data: Data,
    output: Path,
    *,
    seed: int = 0,
    overwrite: bool = False,
    settings: Settings | None = None,
    watch: Watch | None = None,
) -> Trained:
    """Train, and after every epoch leave last.safetensors, best.safetensors, logs and a checkpoint in ``output``.

    Equal arguments give equal weights, bit by bit, on the same machine, also where a run was killed and resumed. Sets
    the seeds of Python, NumPy and torch. ``settings`` take the place of ``seed`` and ``overwrite``.

    Raises SpecError where network and data do not fit, the loss diverges, another run is in ``output`` or has left it;
    FileExistsError where ``output`` holds a training already; Stopped when a signal came.
    """
    how = settings or Settings(seed=seed, overwrite=overwrite)
    fits(network, data.classes)
    if len(data.classes) < 2:
        raise SpecError.of(UNFIT, f"{data.name} has one class, nothing to learn", "a folder holds one for each class")
    occupied(output, how)
    installed(how.trackers)
    engine = Engine(network, recipe, data, how)
    output.mkdir(parents=True, exist_ok=True)
    with alone(output, engine), listening() as wish:
        return Run(engine, output, watch or Watch(), wish).go()


def occupied(output: Path, settings: Settings) -> None:
    """Raise FileExistsError where a training has left its files, unless they may be replaced or continued."""
    there = [name for name in OURS if (output / name).exists()]
    resumed = settings.resume == "auto" and (output / manifest.RUN).exists()
    if there and not settings.overwrite and not resumed:
        what = f"holds {there[0]} of another training (--resume auto goes on with it, --overwrite replaces it)"
        raise FileExistsError(errno.EEXIST, what, str(output))


@contextmanager
def alone(output: Path, engine: Engine) -> Iterator[None]:
    """The folder's lock, which the first process holds for all."""
    if not engine.first:
        yield
        return
    with locked(output):
        yield


class Run:
    """One training in one folder."""

    def __init__(self, engine: Engine, output: Path, watch: Watch, wish: Wish) -> None:
        self.engine, self.output, self.wish = engine, output, wish
        self.watch = watch if engine.first else Watch()
        self.store = Store(output / FOLDER, engine.settings.keep)
        self.journal = Journal(output, engine)
        self.progress = Progress()
        self.saved: Path | None = None
        self.identity = manifest.identity(engine)
        self.bad = BadImages(output, engine.recipe.max_bad_images, engine.rank)
        self.clock = time.monotonic()

    def go(self) -> Trained:
        """All epochs that are left."""
        engine, recipe = self.engine, self.engine.recipe
        self.begin()
        if engine.half_refused:
            self.watch.says("WARNING: there is no fp16 on the CPU; all is computed in fp32")
        images = engine.order.updates * engine.order.batch
        self.watch.starts(
            recipe.passes, images, self.progress.epoch * images + self.progress.update * engine.order.batch
        )
        with self.journal:
            while self.progress.epoch < recipe.passes:
                self.epoch()
        best = self.progress.best
        assert best is not None, "a recipe has at least one epoch"
        epochs, skipped = self.progress.epochs, self.progress.skipped
        return Trained(self.output / BEST, self.output / LAST, epochs, best, skipped)

    def begin(self) -> None:
        """Take up what the folder holds, or clear it."""
        settings, first = self.engine.settings, self.engine.first
        if settings.overwrite and first:
            cleared(self.output)
        self.engine.accelerator.wait_for_everyone()
        if settings.resume == "auto" and not settings.overwrite:
            self.resume()
        if first:
            self.store.tidy()
            manifest.write(self.output, self.engine, self.identity, self.progress.updates)
            self.journal.start(self.progress)
        self.engine.put(self.progress.epoch, self.progress.updates)

    def resume(self) -> None:
        """Go on behind the newest checkpoint that is whole. Raises SpecError where the run was another."""
        if then := manifest.read(self.output):
            manifest.same_run(self.output, then, self.identity)
        if checkpoint := self.store.newest(self._damaged):
            self._restore(checkpoint)
        elif self.store.paths():
            what = f"no checkpoint in {self.store.folder} can be read"
            raise SpecError(Problem(NO_CHECKPOINT, what, "--overwrite starts anew"))

    def _restore(self, checkpoint: Checkpoint) -> None:
        facts = checkpoint.facts
        manifest.same_run(self.output, facts["run"], self.identity)
        ranks, sharded = facts["state"]["ranks"], facts["state"]["sharded"]
        if (sharded or self.engine.sharded) and (ranks, sharded) != (self.engine.ranks, self.engine.sharded):
            what = f"{checkpoint.path} was written by {ranks} processes with sharded weights"
            raise SpecError(Problem(manifest.OTHER_RUN, what, "resume with the same processes"))
        state.restore(self.engine, replace(checkpoint, facts={**facts, **facts["state"]}))
        self.progress, self.saved = Progress.of(facts["progress"]), checkpoint.path
        at, passes = self.progress, self.engine.recipe.passes
        if at.epoch == passes:
            self.watch.says(f"nothing is left to do: {checkpoint.path} is behind the last of {passes} epochs")
            return
        self.watch.says(f"resumed from {checkpoint.path}: epoch {at.epoch + 1}, {at.update} of its updates behind")
        if ranks != self.engine.ranks:
            self.watch.says(f"it was written by {ranks} processes, now {self.engine.ranks}: expect other last digits")

    def _damaged(self, path: Path, why: str) -> None:
        self.watch.says(f"WARNING: checkpoint {path} is damaged ({why}); falling back to the one before")

    def epoch(self) -> None:
        """What is left of an epoch, then the validation images; weights, logs and a checkpoint are written."""
        begun, behind = time.perf_counter(), self.progress.images
        for parts in self.engine.updates(self.progress.epoch, self.progress.update):
            self.update(parts)
        pace = Pace.of(time.perf_counter() - begun, self.progress.images - behind, memory(self.engine))
        row = self.progress.row(self.engine.validate(self._unread))
        better = self.progress.beaten(row)
        self.progress = self.progress.ended(row)
        self.engine.put(self.progress.epoch, self.progress.updates)
        self._guarded("weights", lambda: self.weights(row, better))
        if self.engine.first:
            self._guarded("logs", lambda: self.journal.epoch(self.progress, pace))
        self.checkpoint()
        self.watch.ends(row, better, pace)
        if self.wish.signal and self.engine.ranks == 1:
            raise Stopped(self.wish.signal, self.saved)

    def update(self, parts: list[Batch]) -> None:
        """One update, and what is due behind it.

        Raises Stopped, SpecError where too many updates were skipped or too many images could not be read.
        """
        self._unread(parts)
        wish, late = self.wish.signal, self.engine.first and self._late()
        flags = (float(wish == SIGTERM), float(wish == SIGINT), float(late))
        done, (terminated, interrupted, slow) = self.engine.update(
            parts, self.progress.epoch, self.progress.updates, flags
        )
        self.progress = self.progress.after(done)
        self.engine.put(self.progress.epoch, self.progress.updates)
        self.journal.update(self.progress, done)
        self.watch.update(self.progress.epoch + 1, done.images, done.loss, done.lr)
        if done.skipped:
            self._skipped(done)
        every = self.engine.settings.every_updates
        due = slow or (every is not None and self.progress.updates % every == 0)
        if terminated or interrupted or (due and self.progress.update < self.engine.order.updates):
            self.checkpoint()
        if terminated or interrupted:
            raise Stopped(SIGTERM if terminated else SIGINT, self.saved)

    def _unread(self, parts: Sequence[Batch]) -> None:
        """Images that could not be read, each said once. Raises SpecError where they are too many."""
        for bad in {bad for batch in parts for bad in batch.bad} - self.bad.own:
            self.watch.says(f"WARNING: {bad.name} is left out: {bad.reason}")
            self.bad.seen([bad])

    def _late(self) -> bool:
        """Whether the time between checkpoints is over."""
        minutes = self.engine.settings.every_minutes
        return minutes is not None and time.monotonic() - self.clock > 60 * minutes

    def _skipped(self, done: Update) -> None:
        """Say that an update was left out. Raises SpecError where that happened too often in a row."""
        number, recipe = self.progress.updates, self.engine.recipe
        what = why(done)
        if self.progress.in_a_row <= recipe.max_skipped:
            self.watch.says(f"update {number} was skipped: {what} in epoch {self.progress.epoch + 1}")
            return
        good = f"the last good checkpoint is {self.saved}" if self.saved else "there is no checkpoint yet"
        often = f", {self.progress.in_a_row} times in a row" if recipe.max_skipped else ""
        what = f"{what} in epoch {self.progress.epoch + 1}{often}; {good}"
        raise SpecError.of(DIVERGED, what, "a smaller lr, or clip_grad: 1.0")

    def weights(self, row: Epoch, better: bool) -> None:
        """The kept weights with what is known of them. Raises OSError."""
        engine = self.engine
        metrics = {"data": engine.data.name, "seed": engine.settings.seed, **_finite(asdict(row))}
        with engine.whole() as model:
            if engine.first:
                told, facts = engine.recipe.told(), engine.data.facts()
                save(model, self.output / LAST, metrics=metrics, recipe=told, data=facts)
        if engine.first and better:
            with replacing(self.output / BEST) as temporary:
                shutil.copyfile(self.output / LAST, temporary)

    def checkpoint(self) -> None:
        """A checkpoint of here; a full disk is said, and the training goes on with the ones there are."""
        engine, updates = self.engine, self.progress.updates
        facts, files = state.collect(engine)
        told = {"run": self.identity, "progress": self.progress.facts(), "state": facts}
        self._guarded("logs", self.journal.flush)
        path = self._guarded("checkpoint", lambda: self.store.write(updates, told, files, engine.accelerator))
        self.saved, self.clock = path or self.saved, time.monotonic()

    def _guarded(self, what: str, write: Callable[[], T]) -> T | None:
        """What a write gives; None, and a warning, where it failed. Raises OSError where no later one makes it good."""
        try:
            return write()
        except OSError as error:
            if self.progress.epoch == self.engine.recipe.passes:
                raise
            held = f"the last checkpoint is {self.saved}" if self.saved else "there is no checkpoint yet"
            why = error.strerror or str(error)
            self.watch.says(f"WARNING: no {what} at update {self.progress.updates}, {why}; {held}; training goes on")
            return None


def why(done: Update) -> str:
    """What was wrong with an update that was skipped."""
    if not done.images:
        return "no image can be read"
    return f"the gradient's norm is {done.norm}" if math.isfinite(done.loss) else f"the loss is {done.loss}"


def cleared(output: Path) -> None:
    """Remove what another run left."""
    for path in (*(output / name for name in OURS), *output.glob(f"{BAD_IMAGES}*.csv")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def memory(engine: Engine) -> int:
    """The most memory held so far, bytes: the device's, or the process's where there is none."""
    if engine.accelerator.device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no nan; an epoch without a single good update has no loss."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
