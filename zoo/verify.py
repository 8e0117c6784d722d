"""Every figure of an entry worked out again: digests, costs, traits, accuracies. `mixspec verify NAME`."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..compiler import recipe as recipes
from ..compiler import traits
from ..compiler.backbone import Backbone
from ..compiler.cost import cost
from ..compiler.lower import lower
from ..compiler.measure.compare import compare
from ..compiler.resolve import Network
from .card import card
from .classifier import Classifier
from .demo import one_thread
from .entries import Entry
from .make import CARDS, best, run
from .pretrained import file_of, sha256
from .training.data import open_data
from .weights import Header, header, load, recipe_digest

LOSS = 1e-4
"""How far a loss may be off, nats: kernels of other processors round otherwise. Accuracies are compared exactly."""
POINTS, SPREADS = 1.0, 3.0
"""How far the accuracy of a training that rounds otherwise may be off: points, and standard deviations more."""


@dataclass(frozen=True)
class Check:
    """A figure as it is stated, and as it is found; ``found`` is None where nobody can find it here."""

    what: str
    stated: str
    found: str | None
    right: bool

    def facts(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)


@one_thread()
def verify(entry: Entry, *, retrain: bool = False) -> list[Check]:
    """All checks of an entry's weights; those of the Hub are downloaded. Raises SpecError, OSError."""
    file, network = file_of(entry), entry.network()
    held = header(file)
    checks = [*_file(entry, file), *_network(network, held, load(file)), *_traits(network)]
    if entry.shipped:
        classifier = Classifier.open(file, open_data(str(entry.data)))
        checks += [*_recipe(entry, held), *_accuracy(entry, classifier), *_runs(entry), *_card(entry, network, held)]
        checks += _retrained(entry, network) if retrain else []
    else:
        checks += [_unknown(f"{m.name} on {m.data}", f"{m.value:g}", m.source) for m in entry.metrics]
    return checks


def _same(what: str, stated: object, found: object) -> Check:
    return Check(what, str(stated), str(found), str(stated) == str(found))


def _near(what: str, stated: float, found: float, within: float) -> Check:
    return Check(what, f"{stated:.6g}", f"{found:.6g}", abs(stated - found) <= within)


def _unknown(what: str, stated: str, source: str) -> Check:
    return Check(f"{what} ({source})", stated, None, True)


def _file(entry: Entry, file: Path) -> Iterator[Check]:
    if entry.shipped:
        yield _same("size of the file, bytes", entry.size, file.stat().st_size)
        yield _same("sha256 of the file", entry.sha256, sha256(file))


def _network(network: Network, held: Header, model: Backbone) -> Iterator[Check]:
    """What the weights' header says, and costs: counted in the tree, and off the module that runs on meta."""
    yield _same("digest of the spec", network.digest, held.digest)
    total = cost(network.family, network.at)
    yield _same("parameters", total.params, sum(weight.numel() for weight in model.parameters()))
    yield _same("MACs", total.macs, executed(network))


def executed(network: Network) -> int:
    """Multiply-adds that torch sees the module execute for one image."""
    model, at = lower(network, device="meta").eval(), network.at
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, at.c, at.h, at.w, device="meta"))
    return counter.get_total_flops() // 2


def _traits(network: Network) -> Iterator[Check]:
    """What the mixers assume, declared and read off small ones that run."""
    for row in traits.by_stage(network, network.at):
        try:
            measured = compare(row.mixer, row.at)
        except ValueError as error:
            yield _unknown(f"traits of {row.path}", str(row.mixer), str(error))
            continue
        yield Check(f"traits of {row.path}", f"{row.mixer} as declared", str(measured), not measured.differences)


def _recipe(entry: Entry, held: Header) -> Iterator[Check]:
    recipe = recipes.read(str(entry.recipe)).told()
    yield _same("digest of the recipe", recipe_digest(recipe), held.recipe_digest)


def _accuracy(entry: Entry, classifier: Classifier) -> Iterator[Check]:
    """The file's own, which its entry states and its header."""
    data = open_data(str(entry.data))
    test, val = (classifier.evaluate(data.splits[part]) for part in ("test", "val"))
    first, header_says = entry.runs[0], classifier.header.metrics
    yield _same("top-1 on the test images, percent", first.test_top1, test.top1)
    yield _near("loss on the test images", first.test_loss, test.loss, LOSS)
    yield _same("top-1 on the validation images, percent", first.val_top1, val.top1)
    yield _same("the same in the file's header", header_says["val_top1"], val.top1)
    stated = {metric.name: metric.value for metric in entry.metrics}
    yield _same("top-1 of the entry", stated["top1"], first.test_top1)
    yield _same("loss of the entry", stated["loss"], first.test_loss)


def _runs(entry: Entry) -> Iterator[Check]:
    scores = [run.test_top1 for run in entry.runs]
    mean, spread = entry.spread()
    again = (sum(scores) / len(scores), statistics.stdev(scores))
    yield _near("mean over the seeds", mean, again[0], 1e-9)
    yield _near("standard deviation over the seeds", spread, again[1], 1e-9)


def _card(entry: Entry, network: Network, held: Header) -> Iterator[Check]:
    """The card in the repository; an installed package has none."""
    path = CARDS / f"{entry.name}.md"
    if path.exists():
        found = "as rendered" if path.read_text("utf-8") == card(network, held, entry) else "not current"
        yield Check("the card", "as rendered", found, found == "as rendered")


def _retrained(entry: Entry, network: Network) -> Iterator[Check]:
    """Every seed trained again. Other processors and other versions round otherwise, and trainings part for good."""
    within = POINTS + SPREADS * entry.spread()[1]
    data, recipe = open_data(str(entry.data)), recipes.read(str(entry.recipe))
    with tempfile.TemporaryDirectory() as folder:
        for then in entry.runs:
            now = run(network, recipe, data, then.seed, Path(folder))
            yield _near(f"seed {then.seed} trained again, test top-1", then.test_top1, now.test_top1, within)
        same = sha256(best(Path(folder), network, entry.runs[0].seed)) == entry.sha256
        yield Check("the shipped file, made again", "the same bits", "the same bits" if same else "other bits", True)


def failed(checks: Iterable[Check]) -> list[Check]:
    """Those that are not right."""
    return [check for check in checks if not check.right]
