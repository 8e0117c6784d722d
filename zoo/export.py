"""Networks for other runtimes: ONNX files, and programs of torch.export. Both run where this package is not.

What is written is the inference copy (``compiler.freeze``), for images of one size and batches of any. Our own
operators go as plain arithmetic (``compiler.ops.plain``), without Fourier transforms.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..compiler.backbone import Backbone
from ..compiler.errors import Problem, SpecError
from ..compiler.freeze import freeze
from ..compiler.lint.portability import obstacle
from ..compiler.ops.plain import forms
from ..compiler.resolve import Network, placed
from .atomic import replacing
from .weights import network_of

Format = Literal["onnx", "pt2"]
Image = int | tuple[int, int]
NOT_ONNX, NOT_EXPORTED = "MX601", "MX861"
BATCH = "batch"
"""Name of the axis that any number of images may stand along."""

ONE_FILE = 2**31 - 2**20
"""Bytes of weights that fit into one ONNX file; larger ones go into a file beside it."""


@dataclass(frozen=True)
class Exported:
    """What was written. ``deviation`` is that of what came back from the file, over the largest output; None where
    nothing is installed that runs it.
    """

    file: Path
    format: Format
    image: tuple[int, int]
    nodes: int
    size: int
    deviation: float | None


def export(model: Backbone, file: str | Path, to: Format, image: Image | None = None) -> Exported:
    """Write the model's inference copy, run the file, and compare.

    Raises SpecError for a size or a mixer that cannot be exported and for packages that are missing, OSError.
    """
    network, file = network_of(model), Path(file)
    at = placed(network, image)
    refuse(network, to)
    frozen = _alone(freeze(model).cpu().float())
    images = torch.randn(2, at.c, at.h, at.w, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), replacing(file) as temporary:
        expected = frozen(images)
        program = torch.export.export(frozen, (images,), dynamic_shapes=({0: torch.export.Dim(BATCH)},))
        if to == "onnx":
            nodes, given = _onnx(program, temporary, images)
        else:
            nodes, given = _pt2(program, temporary, images)
    deviation = None if given is None else float((given - expected).abs().max() / expected.abs().max())
    return Exported(file, to, (at.h, at.w), nodes, file.stat().st_size, deviation)


def _alone(model: Backbone) -> Backbone:
    """The model with every tensor in row-major order in a storage of its own, as files hold them."""
    for tensor in (*model.parameters(), *model.buffers()):
        if not tensor.is_contiguous() or tensor.untyped_storage().nbytes() > tensor.nbytes:
            tensor.data = tensor.detach().clone(memory_format=torch.contiguous_format)
    return model


def refuse(network: Network, to: Format) -> None:
    """Raise SpecError for every mixer that says it cannot go there, and for packages that are missing."""
    family = network.family
    if to == "onnx":
        missing = [name for name in ("onnx", "onnxscript") if not find_spec(name)]
        if missing:
            hint = "pip install 'mixspec[onnx]'"
            raise SpecError.of(NOT_EXPORTED, f"exporting to ONNX needs {' and '.join(missing)}", hint)
        grids = family.mixer_grids(network.at) if family.mixers else ()
        complaints = [
            Problem(NOT_ONNX, f"stage {stage}: {mixer.notation} does not support onnx", reason, ("mixers", stage - 1))
            for stage, (mixer, at) in enumerate(zip(family.mixers, grids, strict=True), 1)
            if (reason := obstacle(mixer, at, "onnx"))
        ]
        if complaints:
            raise SpecError(*complaints)


def _onnx(program: torch.export.ExportedProgram, file: Path, images: Tensor) -> tuple[int, Tensor | None]:
    """Nodes of the graph, and what onnxruntime makes of the images; None where it is not installed."""
    from .onnx_forms import translations

    ours: Any = {target: form for target, form in forms().items() if target not in translations()}
    with _quiet():
        made = torch.onnx.export(
            program.run_decompositions(ours),
            (images,),
            dynamo=True,
            verbose=False,
            input_names=["images"],
            output_names=["output"],
            custom_translation_table=translations(),
        )
        assert made is not None
        weights = sum(tensor.nbytes for tensor in program.state_dict.values())
        made.save(file, external_data=weights > ONE_FILE)
    return len(list(made.model.graph)), _by_onnxruntime(file, images)


def _by_onnxruntime(file: Path, images: Tensor) -> Tensor | None:
    if not find_spec("onnxruntime"):
        return None
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: images.numpy()})[0])


def _pt2(program: torch.export.ExportedProgram, file: Path, images: Tensor) -> tuple[int, Tensor]:
    """Nodes of the graph, and what the program that was read back makes of the images."""
    plain = program.run_decompositions(forms())
    held = io.BytesIO()  # writing to a disk that is full, torch would end the process
    torch.export.save(plain, held)
    file.write_bytes(held.getbuffer())
    with file.open("rb") as stream:
        again: nn.Module = torch.export.load(stream).module()
    return len(plain.graph.nodes), again(images)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own notes, about torchvision's operators and its optimizer, say nothing about the network."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
