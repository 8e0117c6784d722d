"""A trained network out of its file: it takes images and answers with the names of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..compiler.backbone import Backbone
from ..compiler.errors import Problem, SpecError
from ..compiler.freeze import freeze
from .training.data import UNFIT, Data, Inputs, Split
from .training.evaluate import Evaluation, evaluate, fits, top
from .weights import Header, fill, header

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
    """A model in evaluation mode, how images become its input, and its classes. A frozen copy gives the answers."""

    model: Backbone
    header: Header
    inputs: Inputs
    classes: tuple[str, ...]

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
        if data and classes != data.classes:
            raise _wrong(
                file, f"trained on other classes than those of {data.name}", f"it knows {', '.join(classes[:5])}"
            )
        fits(held.network, classes)
        inputs = Inputs.of(held.network, facts)
        return cls(fill(held.network, file, device), held, inputs, classes)

    @cached_property
    def frozen(self) -> Backbone:
        """The model for inference."""
        return freeze(self.model)

    def evaluate(self, split: Split) -> Evaluation:
        """How often it is right on a split."""
        return evaluate(self.frozen, split, self.inputs, self.classes)

    def predict(self, images: Tensor, most: int = 1) -> list[Prediction]:
        """The ``most`` likeliest classes of every image (N, 1, h, w), values between 0 and 1."""
        found, probabilities = top(self.frozen, images, self.inputs, min(most, len(self.classes)))
        return [
            Prediction(tuple((self.classes[index], value) for index, value in zip(*row, strict=True)))
            for row in zip(found.tolist(), probabilities.tolist(), strict=True)
        ]

    def predict_files(self, files: Sequence[Path], most: int = 1, *, invert: bool = False) -> list[Prediction]:
        """The same for image files of any size. Raises SpecError for what is no image, OSError."""
        images = [self.inputs.resize(picture(file, invert)) for file in files]
        return self.predict(torch.cat(images), most)


def picture(file: Path, invert: bool = False) -> Tensor:
    """An image file in shades of grey, (1, 1, h, w) between 0 (dark) and 1; ``invert`` exchanges dark and light."""
    import numpy
    from PIL import Image, ImageOps

    with file.open("rb") as stream:
        try:
            with Image.open(stream) as image:
                upright = ImageOps.exif_transpose(image)
                wide = upright.mode.startswith("I")
                pixels = numpy.asarray(upright if wide else upright.convert("L"), dtype=numpy.float32)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise _wrong(file, "no image, or a damaged one", str(error).split("<")[0].strip()) from None
    grey = torch.from_numpy(pixels)[None, None] / (65535 if wide else 255)
    return 1 - grey if invert else grey


def _wrong(file: Path, what: str, hint: str) -> SpecError:
    return SpecError(Problem(UNFIT, what, hint, source=str(file)))
