"""Parameters of the commands that train networks or use trained ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

SplitName = Literal["train", "val", "test"]

Weights = Annotated[
    Path,
    typer.Argument(
        metavar="WEIGHTS", help="A .safetensors file that mixspec wrote, a name in the zoo, or hf://org/name."
    ),
]
DataSet = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="DATA",
        help="The images: digits (built in), a folder, a .tar, synthetic/..., torch/..., hfds/..., wds/...",
    ),
]
WindowRule = Literal["coverage", "official"]
WINDOWS = (
    "windows of Hpx cover the same share of the map (coverage), or half of it as the released code has it (official)."
)
Part = Annotated[SplitName, typer.Option("--split", help="Which part of the images.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Start of all random numbers.")]
