"""Parameters that several commands share."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from ..compiler.grid import Grid

SMALLEST, LARGEST = 8, 16384


def image_size(text: str) -> int | tuple[int, int]:
    """``224`` to a side, ``256x192`` to (height, width), in pixels. Anything else is wrong usage."""
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text.strip())
    if not match:
        raise typer.BadParameter(f"{text!r} is not a size in pixels: 224, or 256x192 for height x width")
    height, width = int(match[1]), int(match[2] or match[1])
    if not (SMALLEST <= height <= LARGEST and SMALLEST <= width <= LARGEST):
        raise typer.BadParameter(f"{text} is outside {SMALLEST} to {LARGEST} pixels")
    return height if height == width else (height, width)


def side(at: Grid) -> int | list[int]:
    """The image size as a spec writes it: a side, or [height, width]."""
    return at.h if at.h == at.w else [at.h, at.w]


def shipped(incomplete: str) -> list[str]:
    """The shipped names that begin so, for the shell to complete; files it knows by itself."""
    from ..compiler.catalogue import names

    return [name for name in names() if name.startswith(incomplete)]


Model = Annotated[
    str,
    typer.Argument(
        metavar="NAME_OR_PATH",
        autocompletion=shipped,
        help="A shipped model's name, a file, or - for standard input.",
    ),
]
Models = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME_OR_PATH",
        autocompletion=shipped,
        help="Shipped models' names, files, or - for standard input.",
    ),
]
Image = Annotated[
    Any,
    typer.Option(
        "--image",
        parser=image_size,
        metavar="SIZE",
        help="Image size in pixels: 224, or 256x192 (height x width). The spec's own if left out.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")]
