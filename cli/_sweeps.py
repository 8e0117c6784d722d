"""Options of `mixspec eval` that evaluate one file many times, and what they print."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._options import image_size
from ._table import table

if TYPE_CHECKING:
    from ..zoo.classifier import Classifier
    from ..zoo.training.data import AnySplit

MOST = 1000
"""Values in one list."""

CropRatios = Annotated[
    str | None,
    typer.Option("--crop-ratios", metavar="LIST", help="Evaluate centre crops: 0.9,1 or 0.8:1:0.025 as in HyenaPixel."),
]
Images = Annotated[
    str | None, typer.Option("--images", metavar="LIST", help="Evaluate at image sizes in pixels: 16,24,32x24.")
]
Truncate = Annotated[
    str | None,
    typer.Option("--truncate", metavar="LIST", help="Evaluate with Hpx filters cut to these shares of the map: 0.5,1."),
]


def numbers(text: str, option: str) -> list[float]:
    """``0.8,0.9`` as it stands, ``0.8:1:0.025`` as first, last and step. Anything else is wrong usage."""
    try:
        parts = [float(word) for word in re.split("[:,]", text)]
    except ValueError:
        parts = []
    if not parts or not all(abs(part) < 1e6 for part in parts) or (":" in text and ("," in text or len(parts) != 3)):
        raise typer.BadParameter(f"{text!r} is no list of numbers: 0.5,1 or 0.8:1:0.025", param_hint=option)
    if ":" not in text:
        return parts
    first, last, step = parts
    if step <= 0 or last < first or (last - first) / step > MOST:
        raise typer.BadParameter(f"{text!r} is no range: first, last and step", param_hint=option)
    return [round(first + index * step, 9) for index in range(int((last - first) / step + 1e-6) + 1)]


def sweep(
    classifier: Classifier, file: Path, split: AnySplit, ratios: str | None, images: str | None, sizes: str | None
) -> dict[str, Any]:
    """What was asked for, by option, as plain values."""
    from ..zoo.tools.sweeps import crops, resolutions
    from ..zoo.tools.truncate import truncations

    found: dict[str, Any] = {}
    if ratios is not None:
        found["crop_ratios"] = crops(classifier, split, numbers(ratios, "--crop-ratios")).facts()
    if images is not None:
        seen = resolutions(classifier, file, split, [image_size(word) for word in images.split(",")])
        found["images"] = [
            {"image": image, "top1": one.top1, "top5": one.top5, "loss": one.loss} for image, one in seen
        ]
    if sizes is not None:
        model, inputs = classifier.model, classifier.inputs
        cut = truncations(model, numbers(sizes, "--truncate"), split, inputs, classifier.classes)
        found["truncation"] = [vars(one) for one in cut]
    return found


def show(found: dict[str, Any]) -> None:
    """Print tables of what was swept over."""
    if crops := found.get("crop_ratios"):
        typer.echo()
        table(("crop ratio", "top-1 %"), [(f"{x['ratio']:g}", f"{x['top1']:.2f}") for x in crops["crops"]])
        sample = "" if crops["sd_sample"] is None else f", sample {crops['sd_sample']:.3f}"
        typer.echo(
            f"mean {crops['mean']:.3f} %, best {crops['best']:.2f} % at {crops['best_ratio']:g}, "
            f"SD population {crops['sd_population']:.3f}{sample}"
        )
    if images := found.get("images"):
        typer.echo()
        rows = [(_size(x["image"]), f"{x['top1']:.2f}", f"{x['top5']:.2f}", f"{x['loss']:.4f}") for x in images]
        table(("image", "top-1 %", "top-5 %", "loss"), rows)
    if cut := found.get("truncation"):
        typer.echo()
        rows = [(x["stage"], f"{x['size']:g}", f"{x['top1']:.2f}", f"{x['change']:+.2f}") for x in cut]
        table(("stage", "filter / map", "top-1 %", "change, points"), rows)


def _size(image: int | tuple[int, int]) -> str:
    return f"{image}x{image}" if isinstance(image, int) else f"{image[0]}x{image[1]}"
