"""Weights shared out by FSDP2, as facts for ``tests/zoo/test_distributed.py``: one JSON object on stdout.

A run that is stopped and goes on, one that is not, and one with whole weights. Accelerate shards on GPUs alone, so its
part is done here; what an engine and its checkpoints do is theirs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import forked  # first: no pool of threads is made before the processes are
from small import few_digits, network
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from mixspec.compiler.recipe import Recipe
from mixspec.zoo.training import loop
from mixspec.zoo.training.engine import Engine
from mixspec.zoo.training.optim import optimiser
from mixspec.zoo.training.settings import Settings
from mixspec.zoo.training.stopping import Stopped
from mixspec.zoo.training.watch import Watch
from mixspec.zoo.weights import load

LINES = "dims: [8, 8]", "mixers: pooling in stage 1, attention Ch=8 in stage 2"
RECIPE = Recipe(name="a", epochs=2, batch_size=16, lr=2e-3, mixup=0.5, drop=0.1, grad_accum_steps=2, model_ema=True)
LEFT = ("last.safetensors", "best.safetensors", "log.csv", "updates.csv")


class Sharded(Engine):
    """An engine whose processes hold a share of the weights each."""

    sharded = True  # type: ignore[assignment]

    def _prepared(self) -> Any:
        fully_shard(self.bare, mesh=init_device_mesh("cpu", (self.ranks,)))
        return self.bare, self.accelerator.prepare_optimizer(optimiser(self.bare, self.recipe))


class Stop(Watch):
    """Asks the process to stop after so many updates; never, where that is negative."""

    def __init__(self, updates: int) -> None:
        self.left = updates

    def update(self, epoch: int, images: int, loss: float, lr: float) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


def run(folder: Path, engine: type[Engine], updates: int = -1) -> None:
    """Train, or go on, in two processes."""
    net, data = network(*LINES), few_digits(32, 32, 32)

    def process(rank: int) -> None:
        loop.Engine = engine  # type: ignore[misc]
        settings = Settings(cpu=True, resume="auto", every_updates=1, log_every=1)
        try:
            loop.train(net, RECIPE, data, folder, settings=settings, watch=Stop(updates))
        except Stopped as stopped:
            print(stopped)

    forked.together(process, 2, Path(f"{folder}.txt"))


def main(at: Path) -> dict[str, Any]:
    always, stopped, plain = (at / name for name in ("always", "stopped", "plain"))
    run(always, Sharded)
    run(stopped, Sharded, 2)
    run(stopped, Sharded)
    run(plain, Engine)
    ours, theirs = (load(folder / "last.safetensors").state_dict() for folder in (always, plain))
    return {
        "parts": sorted(path.name for path in (always / "checkpoints" / "00000004").iterdir()),
        "differing": [name for name in LEFT if (always / name).read_bytes() != (stopped / name).read_bytes()],
        "stopped": "stopped by SIGTERM" in Path(f"{stopped}.txt").read_text(),
        "error": max(float((ours[key] - theirs[key]).abs().max()) for key in theirs),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        json.dump(main(Path(folder)), sys.stdout)
