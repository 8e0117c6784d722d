"""How far a training is: everything a checkpoint says beside tensors, and what one update did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from .validate import Validation
from .watch import Epoch


@dataclass(frozen=True)
class Update:
    """One update, over all processes: images seen, their mean loss, the learning rate, the gradient's norm.

    ``skipped``: loss or gradient was not finite, and the weights stayed as they were.
    """

    images: int
    loss: float
    lr: float
    norm: float | None = None
    skipped: bool = False


@dataclass(frozen=True)
class Progress:
    """``epoch`` counts finished epochs, ``update`` the updates behind it in the next one, ``updates`` all of them."""

    epoch: int = 0
    update: int = 0
    updates: int = 0
    images: int = 0
    total: float = 0.0
    """Sum of the losses of ``images`` images in this epoch."""
    lr: float = 0.0
    """Of the first update of this epoch."""
    skipped: int = 0
    in_a_row: int = 0
    epochs: tuple[Epoch, ...] = ()
    best: Epoch | None = None

    def after(self, done: Update) -> Self:
        """One update on."""
        lr = self.lr if self.update else done.lr
        ahead = replace(self, update=self.update + 1, updates=self.updates + 1, lr=lr)
        if done.skipped:
            return replace(ahead, skipped=self.skipped + 1, in_a_row=self.in_a_row + 1)
        return replace(ahead, images=self.images + done.images, total=self.total + done.loss * done.images, in_a_row=0)

    @property
    def loss(self) -> float:
        """The mean over the images of this epoch so far; nan where there was none."""
        return self.total / self.images if self.images else float("nan")

    def beaten(self, epoch: Epoch) -> bool:
        """Whether an epoch is better than the best so far: more images right, or as many at a lower loss."""
        best = self.best
        return best is None or (epoch.val_top1, -epoch.val_loss) > (best.val_top1, -best.val_loss)

    def row(self, seen: Validation) -> Epoch:
        """What is to be said of this epoch."""
        return Epoch(self.epoch + 1, round(self.loss, 6), self.lr, seen.top1, seen.top5, seen.loss)

    def ended(self, epoch: Epoch) -> Self:
        """An epoch on."""
        best = epoch if self.beaten(epoch) else self.best
        rows = (*self.epochs, epoch)
        return replace(self, epoch=self.epoch + 1, update=0, images=0, total=0.0, epochs=rows, best=best)

    def facts(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """What :meth:`facts` wrote."""
        epochs = tuple(Epoch(**row) for row in facts["epochs"])
        best = Epoch(**facts["best"]) if facts["best"] else None
        return cls(**{**facts, "epochs": epochs, "best": best})
