"""mixspec export: a network for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ._options import Image, Json
from ._table import print_json
from ._trained import Seed

if TYPE_CHECKING:
    from ..compiler.backbone import Backbone

What = Annotated[
    str,
    typer.Argument(
        metavar="SPEC_OR_WEIGHTS",
        help="Weights (a .safetensors file or hf://org/name), or a spec's name or file, with fresh weights.",
    ),
]
To = Annotated[Literal["onnx", "pt2"], typer.Option("--to", help="ONNX, or a program of torch.export.")]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it.")]
Published = Annotated[bool, typer.Option("--pretrained", help="Take the published weights of the spec's name.")]
CLOSE = 1e-4
"""Largest deviation of what comes back from the file, over the largest output."""


def command(
    what: What,
    to: To = "onnx",
    output: Output = ...,  # type: ignore[assignment]
    image: Image = None,
    pretrained: Published = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Write the inference copy of a network for other runtimes, run the file, and compare.

    The file takes batches of any number of images of one size, and needs neither mixspec nor Fourier transforms. Ends
    with exit code 1 where what comes back is off by more than 1e-4 of the largest output.
    """
    from ..zoo.export import export

    done = export(_model(what, pretrained, seed), output, to, image)
    height, width = done.image
    if json:
        told = {"file": str(done.file), "format": to, "image": [height, width], "bytes": done.size}
        print_json({**told, "nodes": done.nodes, "deviation": done.deviation})
    else:
        checked = "not run: pip install onnxruntime" if done.deviation is None else f"deviation {done.deviation:.1e}"
        typer.echo(f"wrote {done.file}: {done.size:,} bytes, {done.nodes} nodes, images {height}x{width}, {checked}")
    if done.deviation is not None and not done.deviation <= CLOSE:
        raise typer.Exit(1)


def _model(what: str, pretrained: bool, seed: int) -> Backbone:
    """The weights' network, or the spec's with fresh or published weights. Raises SpecError."""
    from ..zoo.load import build, load
    from ..zoo.pretrained import weights_file

    if what.endswith(".safetensors") or what.startswith("hf://"):
        if pretrained:
            raise typer.BadParameter("weights are named already", param_hint="--pretrained")
        return load(weights_file(what))
    return build(what, pretrained=pretrained, seed=seed).eval()
