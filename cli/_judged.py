"""What `mixspec eval` prints, and its bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import typer

from ._table import table

if TYPE_CHECKING:
    from ..zoo.classifier import Classifier
    from ..zoo.training.evaluate import Evaluation

CONFUSED = 10
"""Pairs of classes that are listed."""
MATRIX = 200
"""Classes up to which the whole confusion is in the JSON."""
NAMED = 10
"""Bad images, and classes without images, that are listed."""


def title(classifiers: Sequence[Classifier], data: str, split: str) -> str:
    """Which networks on what."""
    names = " + ".join(one.header.network.name for one in classifiers)
    return f"{names} on {data}, {split}"


def about(files: Sequence[Path], classifiers: Sequence[Classifier], data: str, split: str) -> dict[str, Any]:
    """The same as plain values; of several networks lists."""
    told: dict[str, list[str]] = {
        "weights": [str(file) for file in files],
        "name": [one.header.network.name for one in classifiers],
        "digest": [one.header.digest for one in classifiers],
    }
    alone = len(files) == 1
    return {**{key: words[0] if alone else words for key, words in told.items()}, "data": data, "split": split}


def facts(seen: Evaluation, classes: Sequence[str]) -> dict[str, Any]:
    """What was found, as plain values."""
    found = seen.facts()
    if len(classes) > MATRIX:
        del found["confusion"]
    found["confused"] = [{"class": a, "answer": b, "images": count} for a, b, count in confused(seen, classes)]
    return found


def confused(seen: Evaluation, classes: Sequence[str]) -> list[tuple[str, str, int]]:
    """Class, wrong answer and how often, the most frequent first."""
    rows = seen.confusion or ()
    pairs = [(count, a, b) for a, row in enumerate(rows) for b, count in enumerate(row) if count and a != b]
    chosen = sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:CONFUSED]
    return [(classes[a], classes[b], count) for count, a, b in chosen]


def report(seen: Evaluation, classes: Sequence[str], known: Sequence[str], named: str, brief: bool) -> None:
    """Tables by class, of confused classes and of confidence; the accuracies in one line below."""
    if not brief:
        _tables(seen, classes)
    low, high = seen.interval
    typer.echo(
        f"{named}: top-1 {seen.top1:.2f} % ({low:.2f} to {high:.2f}, Wilson 95 %), top-5 {seen.top5:.2f} %, "
        f"loss {seen.loss:.4f}, ECE {seen.calibration.ece:.4f}, {seen.images:,} images"
    )
    for line in _notes(seen, classes, known):
        typer.echo(line, err=True)


def _tables(seen: Evaluation, classes: Sequence[str]) -> None:
    rows = [(name, score.images, f"{score.top1:.1f}") for name, score in seen.per_class.items()]
    table(("class", "images", "top-1 %"), [*rows, ("all", seen.images, f"{seen.top1:.2f}")])
    typer.echo()
    if pairs := confused(seen, classes):
        table(("class", "taken for", "images"), pairs)
        typer.echo()
    bins = seen.calibration.bins
    ends = [f"{place / len(bins):.2f} to {(place + 1) / len(bins):.2f}" for place in range(len(bins))]
    filled = [(end, one) for end, one in zip(ends, bins, strict=True) if one.images]
    lines = [(end, one.images, f"{one.confidence:.3f}", f"{one.accuracy:.3f}") for end, one in filled]
    table(("confidence", "images", "mean", "right"), lines)
    typer.echo()


def _notes(seen: Evaluation, classes: Sequence[str], known: Sequence[str]) -> Iterator[str]:
    """What is not as one might think."""
    if bad := seen.bad:
        words = "; ".join(f"{one.name} ({one.reason})" for one in bad[:NAMED])
        images = "1 bad image" if len(bad) == 1 else f"{len(bad)} bad images"
        yield f"{images} left out: {words}{_more(len(bad))}"
    if missing := [name for name in classes if name not in set(known)]:
        yield f"the data has no class {', '.join(missing[:NAMED])}{_more(len(missing))}; answers may still name it"


def _more(count: int) -> str:
    return f" and {count - NAMED} more" if count > NAMED else ""


class Bar:
    """A live bar on standard error where that is a terminal; the other processes' shares are taken as equal."""

    def __init__(self, images: int, processes: int) -> None:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self.processes = processes
        self.progress = Progress(console=console, transient=True, disable=not console.is_terminal)
        self.task = self.progress.add_task("images", total=images)

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.progress.stop()

    def say(self, images: int) -> None:
        """So many images are done in this process."""
        self.progress.update(self.task, completed=images * self.processes)
