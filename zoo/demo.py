"""What the project does, on one page: specs to cost, to a trained network, to a file, to answers and a picture."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from ..compiler import recipe as recipes
from ..compiler.resolve import Network
from .classifier import Classifier, Prediction
from .kernels import draw
from .shades import beside, shaded
from .training.data import Data, Split, digits
from .training.evaluate import evaluate
from .training.loop import Trained, train
from .training.watch import Watch

GOAL = 97.0
"""Accuracy on the test images that the demonstration has to reach, percent."""
PICTURE = "kernels.png"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """Accuracy of the saved file on the test images, percent; where it and the picture are; time taken."""

    top1: float
    weights: Path
    picture: Path
    seconds: float


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one core: enough for so small a network, the same bits whatever the number of cores, and not slowed
    down by many where threads wait for a core that is busy with something else.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread()
def demonstrate(network: Network, output: Path, say: Say, *, seed: int = 0, watch: Watch | None = None) -> Outcome:
    """Train ``network`` on the digits, read the file back, check that it answers alike, and show what it has learnt."""
    start = time.perf_counter()
    data = digits()
    done = train(network, recipes.read("digits"), data, output, seed=seed, overwrite=True, watch=watch)
    classifier = reread(done, data)
    say(f"\n{done.best} was best after epoch {done.best_epoch.epoch}; read back and evaluated:")
    test = data.splits["test"]
    assert isinstance(test, Split), "the digits lie in memory"
    seen = classifier.evaluate(test)
    say(
        f"validation {done.best_epoch.val_top1:.2f} % right, as in training; test {seen.top1:.2f} % of {seen.images}.\n"
    )
    for line in gallery(classifier, test):
        say(line)
    path = output / PICTURE
    draw(classifier.model, path, f"{network.name}: kernels learnt on handwritten digits")
    return Outcome(seen.top1, done.best, path, time.perf_counter() - start)


def reread(done: Trained, data: Data) -> Classifier:
    """The best weights out of their file, which must answer as the model in training did."""
    classifier = Classifier.open(done.best, data)
    # the model itself: its frozen copy, which gives the answers, differs in the last digits
    seen = evaluate(classifier.model, data.splits["val"], classifier.inputs, classifier.classes)
    then = done.best_epoch
    same = (seen.top1, seen.top5, seen.loss) == (then.val_top1, then.val_top5, then.val_loss)
    assert same, f"the saved file answers otherwise than the model it was saved from: {seen} and {then}"
    return classifier


def gallery(classifier: Classifier, split: Split, across: int = 4) -> list[str]:
    """The first images of a split, and under them those the network is least sure of, with its answers."""
    said = classifier.predict(split.images)
    unsure = sorted(range(len(said)), key=lambda index: said[index].top[0][1])[:across]
    lines: list[str] = []
    for heading, indices in (("The first test images:", range(across)), ("Those it is least sure of:", unsure)):
        lines += [heading, "", *_row(split, said, list(indices), classifier.classes), ""]
    return lines


def _row(split: Split, said: list[Prediction], indices: list[int], classes: tuple[str, ...]) -> list[str]:
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    pictures = []
    for index in indices:
        answer, label = said[index], classes[int(split.labels[index])]
        verdict = "right" if answer.label == label else "wrong"
        picture = shaded(split.images[index, 0], encoding)
        width = len(picture[0])
        captions = (f"is {label}, said {answer.label}", f"{verdict}, {100 * answer.top[0][1]:.1f} %")
        pictures.append([*picture, *(caption.ljust(width) for caption in captions)])
    return beside(pictures)
