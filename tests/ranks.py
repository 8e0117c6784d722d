"""What several processes do together, as facts for ``tests/zoo/test_distributed.py``: one JSON object on stdout."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from forked import together

SPEC = """\
name: speck
family: metaformer
image: 8
in_chans: 1
classes: 10
stem: small
depths: [1, 1]
dims: [8, 8]
mixers: {mixers}
head: linear
"""
FRAMES = {"layer_norm": "pooling in stage 1, attention Ch=8 in stage 2", "batch_norm": "CADAsp b=2 ca=3 agg=3 Ch=4"}


def main(at: Path) -> dict[str, Any]:

    from mixspec.compiler.parse import parse
    from mixspec.compiler.recipe import Recipe
    from mixspec.compiler.resolve import resolve
    from mixspec.zoo.training.data import digits
    from mixspec.zoo.training.data.values import Split
    from mixspec.zoo.training.engine import Engine
    from mixspec.zoo.training.mean import held
    from mixspec.zoo.training.settings import Settings

    whole = digits()
    sizes = 67, 63, 63  # none of which two processes share evenly
    few: Any = {
        name: Split(split.images[:size], split.labels[:size])
        for (name, split), size in zip(whole.splits.items(), sizes, strict=True)
    }
    data = replace(whole, splits=few)
    recipe = Recipe(
        name="a", epochs=2, batch_size=16, lr=2e-3, mixup=0.5, cutmix=1.0, drop_path=0.1, drop=0.1, degrees=5.0,
        clip_grad=1.0, model_ema=True, model_ema_decay=0.9,
    )  # fmt: skip

    def work(name: str, frame: str, parts: int) -> Any:
        network = resolve(parse(SPEC.format(mixers=FRAMES[frame])))
        way = recipe.model_copy(update={"grad_accum_steps": parts})

        def process(rank: int) -> None:
            engine = Engine(network, way, data, Settings(seed=3, cpu=True))
            losses, number = [], 0
            for epoch in range(2):
                for batches in engine.updates(epoch):
                    engine.put(epoch, number)
                    losses.append(engine.update(batches, epoch, number)[0].loss)
                    number += 1
            assert engine.mean is not None
            state = {**held(engine.bare), **{f"mean.{key}": value for key, value in engine.mean.tensors.items()}}
            digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in state.values())).hexdigest()
            norm = float(sum(tensor.double().abs().sum() for tensor in held(engine.bare).values()))
            told = {"losses": losses, "digest": digest, "norm": norm, "seen": asdict(engine.validate())}
            (at / f"{name}-{rank}.json").write_text(json.dumps(told))

        return process

    found: dict[str, Any] = {}
    for name, frame, parts, processes in (
        ("one", "layer_norm", 2, 1),
        ("two", "layer_norm", 1, 2),
        ("batch_norm", "batch_norm", 2, 2),
    ):
        together(work(name, frame, parts), processes, at / f"{name}.txt")
        found[name] = [json.loads((at / f"{name}-{rank}.json").read_text()) for rank in range(processes)]
    return found


def sharded(at: Path) -> dict[str, Any]:
    """Weights shared out by FSDP2: a run that is stopped and goes on, one that is not, and one with whole weights.

    Accelerate shards on GPUs alone, so its part is done here; what an engine and its checkpoints do is theirs.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    from mixspec.compiler.parse import parse
    from mixspec.compiler.recipe import Recipe
    from mixspec.compiler.resolve import resolve
    from mixspec.zoo.training import loop
    from mixspec.zoo.training.data import digits
    from mixspec.zoo.training.data.values import Split
    from mixspec.zoo.training.engine import Engine
    from mixspec.zoo.training.optim import optimiser
    from mixspec.zoo.training.settings import Settings
    from mixspec.zoo.training.stopping import Stopped
    from mixspec.zoo.training.watch import Watch
    from mixspec.zoo.weights import load

    class Sharded(Engine):
        sharded = True  # type: ignore[assignment]

        def _prepared(self) -> Any:
            fully_shard(self.bare, mesh=init_device_mesh("cpu", (self.ranks,)))
            return self.bare, self.accelerator.prepare_optimizer(optimiser(self.bare, self.recipe))

    class Stop(Watch):
        def __init__(self, update: int) -> None:
            self.left = update

        def update(self, epoch: int, images: int, loss: float, lr: float) -> None:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGTERM)

    whole, network = digits(), resolve(parse(SPEC.format(mixers=FRAMES["layer_norm"])))
    few: Any = {name: Split(split.images[:32], split.labels[:32]) for name, split in whole.splits.items()}
    data = replace(whole, splits=few)
    recipe = Recipe(name="a", epochs=2, batch_size=16, lr=2e-3, mixup=0.5, drop=0.1, grad_accum_steps=2, model_ema=True)

    def run(name: str, engine: type[Engine], stop: int) -> None:
        def process(rank: int) -> None:
            loop.Engine = engine  # type: ignore[misc]
            settings = Settings(cpu=True, resume="auto", every_updates=1, log_every=1)
            try:
                loop.train(network, recipe, data, at / name, settings=settings, watch=Stop(stop))
            except Stopped as stopped:
                print(stopped)

        together(process, 2, at / f"{name}.txt")

    run("always", Sharded, -1)
    run("stopped", Sharded, 2)
    run("stopped", Sharded, -1)
    run("plain", Engine, -1)
    files = ("last.safetensors", "best.safetensors", "log.csv", "updates.csv")
    ours, plain = (load(at / name / "last.safetensors").state_dict() for name in ("always", "plain"))
    return {
        "parts": sorted(path.name for path in (at / "always" / "checkpoints" / "00000004").iterdir()),
        "differing": [n for n in files if (at / "always" / n).read_bytes() != (at / "stopped" / n).read_bytes()],
        "stopped": "stopped by SIGTERM" in (at / "stopped.txt").read_text(),
        "error": max(float((ours[key] - plain[key]).abs().max()) for key in plain),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        json.dump((sharded if "--sharded" in sys.argv else main)(Path(folder)), sys.stdout)
