"""Small grey pictures in text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor

BLOCKS, LETTERS = " ░▒▓█", " .:*#"


def shaded(image: Tensor, encoding: str = "utf-8") -> list[str]:
    """An image (h, w) between 0 (dark) and 1 as h lines of 2 w characters, light ink on a dark terminal."""
    ramp = BLOCKS if _writes(encoding) else LETTERS
    levels = (image.clamp(0, 1) * (len(ramp) - 1)).round().int().tolist()
    return ["".join(ramp[level] * 2 for level in row) for row in levels]


def beside(pictures: Iterable[Sequence[str]], gap: str = "   ") -> list[str]:
    """Pictures of equal height side by side."""
    return [gap.join(row).rstrip() for row in zip(*pictures, strict=True)]


def _writes(encoding: str) -> bool:
    try:
        return bool(BLOCKS.encode(encoding))
    except (UnicodeEncodeError, LookupError):
        return False
