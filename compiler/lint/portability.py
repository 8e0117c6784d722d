"""Targets that a mixer does not support."""

from __future__ import annotations

from collections.abc import Iterator

from ..cost import cost
from ..errors import Problem
from ..grid import Grid
from ..mixer import Mixer
from .file import File

FOURIER = {
    "fp16": "Fourier transforms in half precision need maps whose sides are powers of two",
}


def blocked(file: File, code: str, target: str) -> Iterator[Problem]:
    """A complaint for every stage whose mixer does not support a target that the spec or the project asks for."""
    if file.about is None or target not in (*file.about.targets, *file.config.targets):
        return
    for stage, mixer, grid in file.mixers:
        if reason := obstacle(mixer, grid, target):
            what = f"stage {stage + 1}: {mixer.notation} does not support {target}"
            yield file.problem(code, what, reason, ("mixers", stage), trail=f"stage {stage + 1} is {grid} here")


def obstacle(mixer: Mixer, at: Grid, target: str) -> str:
    """Why a mixer does not support a target on this grid; empty if it does."""
    stated = getattr(mixer, "cannot", {}).get(target, "")
    if stated:
        return stated
    if target == "any_size":
        return "" if mixer.traits(at).any_size else "its weights depend on the size of the map"
    return FOURIER.get(target, "") if cost(mixer, at).fft_flops else ""
