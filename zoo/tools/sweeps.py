"""One set of weights under other crops and on other image sizes. HyenaPixel, arXiv:2402.19305, Fig. 4."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...compiler.errors import SpecError
from ..classifier import Classifier
from ..load import Image, moved
from ..training.data import AnySplit
from ..training.evaluate import Evaluation, evaluate
from ..weights import fill
from .threshold import OUT_OF_RANGE

RATIOS = (0.8, 0.825, 0.85, 0.875, 0.9, 0.925, 0.95, 0.975, 1.0)
"""The nine crop ratios of the paper."""


@dataclass(frozen=True)
class Crops:
    """Accuracy at every crop ratio, percent. ``sd_population`` divides by their number, ``sd_sample`` by one less (None
    for one ratio); the paper does not say which it prints.
    """

    top1: tuple[tuple[float, float], ...]
    mean: float
    best: float
    best_ratio: float
    sd_population: float
    sd_sample: float | None

    def facts(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        rows = [{"ratio": ratio, "top1": top1} for ratio, top1 in self.top1]
        return {**{name: value for name, value in vars(self).items() if name != "top1"}, "crops": rows}


def crops(classifier: Classifier, split: AnySplit, ratios: Sequence[float] = RATIOS) -> Crops:
    """Accuracy under each crop ratio, a number above 0 up to 1. Raises SpecError for another."""
    for ratio in ratios:
        if not 0 < ratio <= 1:
            raise SpecError.of(
                OUT_OF_RANGE, f"a crop ratio of {ratio:g}", "above 0, at most 1; the paper takes 0.8 to 1"
            )
    seen = [(ratio, _cropped(classifier, split, ratio)) for ratio in ratios]
    return summary(seen)


def summary(seen: Sequence[tuple[float, float]]) -> Crops:
    """Mean, best and both standard deviations of accuracies by crop ratio."""
    values = [top1 for _, top1 in seen]
    ratio, best = max(seen, key=lambda pair: pair[1])
    return Crops(
        tuple(seen),
        round(statistics.fmean(values), 4),
        best,
        ratio,
        round(statistics.pstdev(values), 4),
        round(statistics.stdev(values), 4) if len(values) > 1 else None,
    )


def resolutions(
    classifier: Classifier, file: Path, split: AnySplit, images: Sequence[Image]
) -> list[tuple[Image, Evaluation]]:
    """The same weights on images of other sizes, without tuning. Raises SpecError for one that does not fit."""
    found = []
    for image in images:
        network = moved(classifier.header, image, file)
        model = fill(network, file, next(classifier.model.parameters()).device)
        size = network.at.h, network.at.w
        found.append((image, evaluate(model, split, replace(classifier.inputs, size=size), classifier.classes)))
    return found


def _cropped(classifier: Classifier, split: AnySplit, ratio: float) -> float:
    inputs = replace(classifier.inputs, crop=ratio)
    return evaluate(classifier.model, split, inputs, classifier.classes).top1
