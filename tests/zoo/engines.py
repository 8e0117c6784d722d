"""Engines of the training loop, updated by hand, and one who hears what happens."""

from mixspec.compiler.recipe import Recipe
from mixspec.compiler.resolve import Network
from mixspec.zoo.training.data import Data
from mixspec.zoo.training.engine import Engine
from mixspec.zoo.training.settings import Settings
from mixspec.zoo.training.watch import Epoch, Pace, Watch


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


class Heard(Watch):
    """Learning rates of updates, epochs, and lines."""

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
