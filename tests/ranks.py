"""What several processes learn together, as facts for ``tests/zoo/test_distributed.py``: one JSON object on stdout."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forked import together
from small import few_digits, network

if TYPE_CHECKING:
    from mixspec.zoo.training.engine import Engine

MIXERS = {"layer_norm": "pooling in stage 1, attention Ch=8 in stage 2", "batch_norm": "CADAsp b=2 ca=3 agg=3 Ch=4"}
RUNS = {"one": ("layer_norm", 2, 1), "two": ("layer_norm", 1, 2), "batch_norm": ("batch_norm", 2, 2)}
"""Kind of norm, parts of an update on each process, processes."""
RECIPE = {
    "name": "a",
    "epochs": 2,
    "batch_size": 16,
    "lr": 2e-3,
    "mixup": 0.5,
    "cutmix": 1.0,
    "drop_path": 0.1,
    "drop": 0.1,
    "degrees": 5.0,
    "clip_grad": 1.0,
    "model_ema": True,
    "model_ema_decay": 0.9,
}


def learnt(engine: Engine) -> list[float]:
    """The losses of two epochs."""
    losses: list[float] = []
    for epoch in range(2):
        for batches in engine.updates(epoch):
            engine.put(epoch, len(losses))
            losses.append(engine.update(batches, epoch, len(losses))[0].loss)
    return losses


def told(engine: Engine) -> dict[str, Any]:
    """What a process has learnt, and how well it sees then."""
    from mixspec.zoo.training.mean import held

    losses = learnt(engine)
    assert engine.mean is not None
    weights = held(engine.bare)
    tensors = [*weights.values(), *engine.mean.tensors.values()]
    return {
        "losses": losses,
        "digest": hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest(),
        "norm": float(sum(tensor.double().abs().sum() for tensor in weights.values())),
        "seen": asdict(engine.validate()),
    }


def work(norm: str, parts: int, file: str) -> Callable[[int], None]:
    """What a process does; it writes a file with its number."""
    from mixspec.compiler.recipe import Recipe
    from mixspec.zoo.training.engine import Engine
    from mixspec.zoo.training.settings import Settings

    net = network("dims: [8, 8]", f"mixers: {MIXERS[norm]}")
    data = few_digits(67, 63, 63)  # none of which two processes share evenly
    recipe = Recipe.model_validate({**RECIPE, "grad_accum_steps": parts})

    def process(rank: int) -> None:
        engine = Engine(net, recipe, data, Settings(seed=3, cpu=True))
        Path(file.format(rank)).write_text(json.dumps(told(engine)))

    return process


def main(at: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, (norm, parts, processes) in RUNS.items():
        file = str(at / f"{name}-{{}}.json")
        together(work(norm, parts, file), processes, at / f"{name}.txt")
        found[name] = [json.loads(Path(file.format(rank)).read_text()) for rank in range(processes)]
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        json.dump(main(Path(folder)), sys.stdout)
