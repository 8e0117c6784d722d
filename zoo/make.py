"""Make the weights that ship, their entries and their cards: ``python -m mixspec.zoo.make [NAME ...]``.

Every network is trained once for each seed, by the recipe its spec names, on the embedded digits, in one thread, as
``mixspec train NAME --threads 1 --seed SEED`` does it. The first seed's best weights ship. Without names all that ship
already are made again: about half an hour on one core. The same code on the same kind of machine makes the same bits.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..compiler import recipe as recipes
from ..compiler.recipe import Recipe
from ..compiler.resolve import Network
from . import entries
from .atomic import replacing
from .card import card
from .classifier import Classifier
from .demo import one_thread
from .entries import FOLDER, WEIGHTS, Entry, Metric, Run
from .load import network
from .pretrained import sha256
from .training.data import Data, open_data
from .training.loop import train
from .training.settings import Settings
from .weights import header

SEEDS = (0, 1, 2)
DATA, TEST = "digits", "test"
CARDS = Path(__file__).parents[1] / "model_cards"


def main(arguments: Sequence[str] | None = None) -> None:
    """Make those that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m mixspec.zoo.make", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="specs; all that ship weights if left out")
    parser.add_argument("--runs", type=Path, help="keep the trainings here; what is there is continued")
    chosen = parser.parse_args(arguments)
    names = chosen.names or [entry.spec for entry in entries.every() if entry.shipped]
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            entry = make(name, chosen.runs or Path(folder))
            mean, spread = entry.spread()
            print(f"{name}: {entry.runs[0].test_top1:.2f} %; {mean:.2f} +- {spread:.2f} over the seeds", flush=True)


def make(name: str, folder: Path) -> Entry:
    """Train a network, and write weights, entry and card into the package."""
    net, data = network(name), open_data(DATA)
    recipe = recipes.read(net.about.recipe or DATA)
    runs = [run(net, recipe, data, seed, folder) for seed in SEEDS]
    file = WEIGHTS / f"{name}.safetensors"
    WEIGHTS.mkdir(exist_ok=True)
    shutil.copy(best(folder, net, SEEDS[0]), file)
    entry = described(net, recipe, file, runs)
    _write(FOLDER / f"{name}.yaml", text(entry))
    _write(CARDS / f"{name}.md", card(net, header(file), entry))
    return entry


@one_thread()
def run(net: Network, recipe: Recipe, data: Data, seed: int, folder: Path) -> Run:
    """One training, or the rest of it where the folder has a part, and how good it is on the test images."""
    file = best(folder, net, seed)
    train(net, recipe, data, file.parent, settings=Settings(seed=seed, resume="auto"))
    classifier = Classifier.open(file, data)
    seen, then = classifier.evaluate(data.splits["test"]), classifier.header.metrics
    return Run(seed=seed, epoch=int(then["epoch"]), val_top1=then["val_top1"], test_top1=seen.top1, test_loss=seen.loss)


def best(folder: Path, net: Network, seed: int) -> Path:
    """Where a training keeps its best weights."""
    return folder / f"{net.name}-{net.digest[:8]}-{seed}" / "best.safetensors"


def described(net: Network, recipe: Recipe, file: Path, runs: Sequence[Run]) -> Entry:
    """The entry of weights that were made here."""
    on = f"{DATA}, {TEST}"
    figures = {"top1": runs[0].test_top1, "loss": runs[0].test_loss}
    return Entry(
        name=net.name,
        spec=net.name,
        source=file.name,
        sha256=sha256(file),
        size=file.stat().st_size,
        licence="apache-2.0",
        classes=net.family.classes,
        data=DATA,
        recipe=recipe.name,
        metrics=tuple(
            Metric(name=name, value=value, data=on, provenance="measured")  # type: ignore[arg-type]
            for name, value in figures.items()
        ),
        runs=tuple(runs),
    )


def text(entry: Entry) -> str:
    """An entry of ours as its file has it."""
    lines = [
        "# made by python -m mixspec.zoo.make",
        f"name: {entry.name}",
        f"spec: {entry.spec}",
        f"source: {entry.source}",
        f'sha256: "{entry.sha256}"',
        f"size: {entry.size}",
        f"licence: {entry.licence}",
        f"classes: {entry.classes}",
        f"data: {entry.data}",
        f"recipe: {entry.recipe}",
        "metrics:",
        *(_flow(metric.model_dump(exclude_defaults=True)) for metric in entry.metrics),
        "runs:",
        *(_flow(run.model_dump()) for run in entry.runs),
    ]
    return "\n".join(lines) + "\n"


def _flow(values: dict[str, object]) -> str:
    return f"- {{{', '.join(f'{key}: {_quoted(value)}' for key, value in values.items())}}}"


def _quoted(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) and "," in value else str(value)


def _write(path: Path, content: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(content, "utf-8")


if __name__ == "__main__":
    main()
