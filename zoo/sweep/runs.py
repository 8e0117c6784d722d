"""The runs of a sweep: each trains in a folder of its own and leaves ``result.json`` there when it is whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...compiler import sweep as sweeps
from ...compiler.checked import changed
from ...compiler.errors import SpecError
from ...compiler.resolve import Network
from ...compiler.sweep import Plan, Point, slug
from ..atomic import replacing

RESULT = "result.json"
DIFFERS, DAMAGED = "MX842", "MX843"


@dataclass(frozen=True)
class Run:
    """One point with one seed on one data set, and the folder it trains in."""

    point: Point
    data: str
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.point.label} on {self.data}, seed {self.seed}"

    @property
    def identity(self) -> str:
        """A hash of everything the result depends on."""
        parts = {
            "network": self.point.network.digest,
            "recipe": self.point.recipe.told(),
            "data": self.data,
            "seed": self.seed,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Result:
    """What a run found on the test images, accuracy in percent and cross-entropy in nats; what the network costs."""

    point: str
    data: str
    seed: int
    top1: float
    loss: float
    images: int
    params: int
    macs: int
    identity: str


def runs(plan: Plan, folder: Path) -> list[Run]:
    """Every run of a sweep, all points of one seed together: a table of few seeds is there early."""
    return [
        Run(point, data, seed, folder / slug(data) / point.slug / f"seed-{seed}")
        for seed in plan.sweep.all_seeds
        for point in plan.points
        for data in ([point.data] if point.data else plan.sweep.sets)
    ]


def found(run: Run) -> Result | None:
    """The result that a run's folder holds, None if it has none yet.

    Raises SpecError where it cannot be read, or belongs to another spec, recipe or data set than the run's.
    """
    file = run.folder / RESULT
    try:
        result = Result(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise SpecError.of(DAMAGED, f"{file} is no result of a run", "delete it to run again") from None
    if result.identity != run.identity:
        what = f"{run.folder} holds a result of another spec, recipe or data set"
        raise SpecError.of(DIFFERS, what, "choose another folder, or delete that one")
    return result


def perform(run: Run) -> Result:
    """Train, evaluate the best weights on the test images, and keep the result. Continues what the folder holds."""
    from ..load import load
    from ..training.data import Inputs
    from ..training.evaluate import evaluate
    from ..training.loop import train
    from ..training.settings import Settings

    data = _data(run.data)
    network = _with_classes(run.point.network, len(data.classes))
    trained = train(network, run.point.recipe, data, run.folder, settings=Settings(seed=run.seed, resume="auto"))
    model, split = load(trained.best), data.split("test")
    seen = evaluate(model, split, Inputs.of(network, data.facts()), data.classes)
    cost = _cost(network)
    result = Result(
        run.point.label, run.data, run.seed, seen.top1, seen.loss, seen.images, cost.params, cost.macs, run.identity
    )
    with replacing(run.folder / RESULT) as temporary:
        temporary.write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")
    return result


def share(plan_file: str, folder: Path, worker: int, workers: int) -> int:
    """Perform every ``workers``-th run that has no result yet, from number ``worker`` on; how many that were.

    Takes names, not values, so that another process or machine can be asked to do it.
    """
    left = [run for run in runs(sweeps.read(plan_file), folder)[worker::workers] if found(run) is None]
    for run in left:
        perform(run)
    return len(left)


def results(plan: Plan, folder: Path) -> list[Result]:
    """Every result there is so far. Raises SpecError as :func:`found` does."""
    return [result for run in runs(plan, folder) if (result := found(run)) is not None]


@lru_cache(maxsize=2)
def _data(name: str) -> Any:
    from ..training.data import open_data

    return open_data(name)


def _with_classes(network: Network, classes: int) -> Network:
    family = changed(network.family, classes=classes)
    return replace(network, family=family)


def _cost(network: Network) -> Any:
    from ...compiler.cost import count

    return count(network)
