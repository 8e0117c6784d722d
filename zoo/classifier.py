"""A trained network out of its file: it takes images and answers with the names of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..compiler.backbone import Backbone
from ..compiler.errors import Problem, SpecError
from ..compiler.freeze import freeze
from .training.data import UNFIT, AnySplit, Data, Inputs
from .training.data.decode import BadImage, decode, reason
from .training.evaluate import BATCH, Evaluation, Member, evaluate, fits, numbered, top
from .weights import Header, fill, header

LISTED = 5
"""Classes that a complaint names."""

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Prediction:
    """What a network says of one image: classes and their probabilities, the likeliest first."""

    top: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.top[0][0]

    def facts(self) -> list[dict[str, Any]]:
        """The same as plain values, for JSON."""
        return [{"class": name, "probability": round(probability, 6)} for name, probability in self.top]


@dataclass(frozen=True)
class Classifier:
    """A model in evaluation mode, how images become its input, and its classes. A frozen copy gives the answers.

    ``grey``: it was trained on grey images in memory, and not on pictures.
    """

    model: Backbone
    header: Header
    inputs: Inputs
    classes: tuple[str, ...]
    grey: bool = True

    @classmethod
    def open(cls, path: str | Path, data: Data | None = None, device: torch.device | str = "cpu") -> Classifier:
        """From a weights file; ``data`` tells what the file leaves out. Raises SpecError, OSError."""
        file = Path(path)
        held = header(file)
        facts = held.data or (data.facts() if data else {})
        if not {"classes", "mean", "std"} <= set(facts):
            hint = "`mixspec train` writes it; mixspec.save takes it as data="
            raise _wrong(file, "the file does not say which classes it was trained on", hint)
        classes = tuple(map(str, facts["classes"]))
        if data and (unknown := [name for name in data.classes if name not in classes]):
            what = f"trained on other classes than those of {data.name}: it does not know {_some(unknown)}"
            raise _wrong(file, what, f"it knows {_some(classes)}")
        fits(held.network, classes)
        inputs = Inputs.of(held.network, facts, held.recipe)
        grey = isinstance(facts["mean"], int | float)
        return cls(fill(held.network, file, device), held, inputs, classes, grey)

    @cached_property
    def frozen(self) -> Backbone:
        """The model for inference."""
        return freeze(self.model)

    def member(self, classes: Sequence[str] | None = None) -> Member:
        """The frozen model, its answers in the order of ``classes``. Raises SpecError where these are others."""
        if classes is None or tuple(classes) == self.classes:
            return Member(self.frozen, self.inputs)
        if set(classes) != set(self.classes):
            other = sorted(set(classes) ^ set(self.classes))
            what = f"{self.header.network.name} has other classes than the first network: {_some(other)}"
            raise SpecError.of(UNFIT, what, "an ensemble answers with the classes of all")
        return Member(self.frozen, self.inputs, torch.tensor([self.classes.index(name) for name in classes]))

    def relabel(self, data: Data) -> Tensor | None:
        """The output for each class of ``data``; None where they are the same. All of them are known."""
        if data.classes == self.classes:
            return None
        return torch.tensor([self.classes.index(name) for name in data.classes])

    def evaluate(self, split: AnySplit, relabel: Tensor | None = None) -> Evaluation:
        """How often it is right on a split."""
        return evaluate(self.frozen, split, self.inputs, self.classes, relabel=relabel)

    def predict(self, images: Tensor, most: int = 1) -> list[Prediction]:
        """The ``most`` likeliest classes of every image (N, 1 or 3, h, w), values between 0 and 1."""
        return self._predict([self.inputs(part) for part in images.split(BATCH)], most)

    def predict_files(
        self, files: Sequence[Path], most: int = 1, *, invert: bool = False
    ) -> list[Prediction | BadImage]:
        """The same for image files of any size; a BadImage in the place of one that cannot be used."""
        found: list[Prediction | BadImage] = []
        for start in range(0, len(files), BATCH):
            images = [self._attempt(file, invert) for file in files[start : start + BATCH]]
            good = [image for image in images if isinstance(image, Tensor)]
            said = iter(self._predict([torch.stack(good)], most) if good else [])
            found += [image if isinstance(image, BadImage) else next(said) for image in images]
        return found

    def predict_numbers(
        self, split: AnySplit, indices: Sequence[int], most: int = 1
    ) -> tuple[list[Prediction | BadImage], list[int | None]]:
        """The same for images of a data set, and their classes there; of a bad one None. Raises SpecError."""
        samples = split.samples(self.inputs)
        for index in indices:
            if not 0 <= index < len(samples):
                raise SpecError.of(UNFIT, f"there is no image {index}", f"0 to {len(samples) - 1}")
        asked = numbered(samples, indices)
        batch = samples.__getitems__(asked)
        bad = {one.index: BadImage(one.reason) for one in batch.bad}
        said = iter(self._predict([batch.images], most) if len(batch.labels) else [])
        labels = iter(batch.labels.tolist())
        found = [(bad[key.index], None) if key.index in bad else (next(said), next(labels)) for key in asked]
        return [one for one, _ in found], [label for _, label in found]

    def prepared(self, image: Image.Image) -> Tensor:
        """A picture in RGB as the network's input (C, H, W)."""
        if not self.grey:
            return self.inputs.picture(image)
        shades = torch.from_numpy(np.asarray(image.convert("L"), dtype=np.float32))
        return self.inputs(shades[None, None] / 255)[0]

    def _attempt(self, file: Path, invert: bool) -> Tensor | BadImage:
        try:
            image = picture(file)
        except BadImage as error:
            return error
        return self.prepared(ImageOps.invert(image) if invert else image)

    def _predict(self, prepared: Sequence[Tensor], most: int) -> list[Prediction]:
        found, probabilities = top(self.member(), prepared, min(most, len(self.classes)))
        return [
            Prediction(tuple((self.classes[index], value) for index, value in zip(*row, strict=True)))
            for row in zip(found.tolist(), probabilities.tolist(), strict=True)
        ]


def picture(file: Path) -> Image.Image:
    """An image file in RGB, upright. Raises BadImage for what is none, or cannot be opened."""
    if file.exists() and not file.is_file():
        raise BadImage("no regular file")
    try:
        with file.open("rb") as stream:
            return decode(stream)
    except OSError as error:
        raise BadImage(reason(error)) from None


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _wrong(file: Path, what: str, hint: str) -> SpecError:
    return SpecError(Problem(UNFIT, what, hint, source=str(file)))
