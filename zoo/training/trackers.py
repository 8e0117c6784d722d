"""TensorBoard, Weights & Biases and trackio, as Accelerate speaks to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate.tracking import GeneralTracker, TensorBoardTracker, TrackioTracker, WandBTracker
from accelerate.utils import is_tensorboard_available, is_trackio_available, is_wandb_available

from ...compiler.errors import SpecError

if TYPE_CHECKING:
    from .engine import Engine
    from .settings import Tracker

MISSING = "MX818"
PROJECT = "mixspec"
AVAILABLE = {
    "tensorboard": is_tensorboard_available,
    "wandb": is_wandb_available,
    "trackio": is_trackio_available,
}


def installed(names: Sequence[Tracker]) -> None:
    """Raise SpecError for one that is not."""
    for name in names:
        if not AVAILABLE[name]():
            raise SpecError.of(MISSING, f"{name} is not installed", f"pip install {name}")


class Trackers:
    """Those that were asked for."""

    def __init__(self, names: Sequence[Tracker], folder: Path, engine: Engine) -> None:
        self.names, self.folder, self.engine = names, folder, engine
        self.open: list[GeneralTracker] = []

    def start(self, updates: int) -> None:
        """Open them behind so many updates; TensorBoard forgets what a killed run logged after these."""
        for name in self.names:
            tracker = self._made(name, updates)
            tracker.start()
            self.open.append(tracker)

    def _made(self, name: Tracker, updates: int) -> GeneralTracker:
        if name == "tensorboard":
            return TensorBoardTracker("tensorboard", self.folder, purge_step=updates + 1 if updates else None)
        config = {"spec": self.engine.network.name, **self.engine.recipe.told()}
        if name == "wandb":
            return WandBTracker(PROJECT, name=self.folder.name, config=config, dir=str(self.folder))
        return TrackioTracker(PROJECT, name=self.folder.name, config=config)

    def log(self, values: Mapping[str, Any], updates: int) -> None:
        """Numbers by name, behind so many updates."""
        for tracker in self.open:
            tracker.log(dict(values), step=updates)

    def finish(self) -> None:
        """Close them."""
        for tracker in self.open:
            tracker.finish()
        self.open = []
