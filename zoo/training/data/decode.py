"""An image file as pixels, or the reason why not. Nothing in a file can stop a training or a server.

CMYK, 16-bit, palette, grey and transparent images become RGB, the first frame stands for an animation, and a camera's
note of how it was held turns the image upright. Alpha is dropped, as timm and torchvision do.
"""

from __future__ import annotations

import errno
import struct
import warnings
import zlib
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MOST_PIXELS = 178_956_970
"""Larger images are refused before they are decoded: twice PIL's limit, at which PIL itself refuses."""
LONGEST = 100
"""Times the shorter side that the longer may have: such a strip, enlarged to a network's size, would fill memory."""

_DAMAGED = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What PIL's readers raise on damaged files."""
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Failures of this process, which are no fault of the file."""
_WIDE = {"I;16": 257.0, "I;16L": 257.0, "I;16B": 257.0, "I;16N": 257.0}


class BadImage(Exception):
    """An image that cannot be used, and why."""


def decode(stream: BinaryIO) -> Image.Image:
    """The picture in a file, upright, in RGB. Raises BadImage."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL warns of what it can read all the same
        try:
            if not stream.read(1):
                raise BadImage("empty file")
            stream.seek(0)
            with Image.open(stream) as image:
                _sized(image)
                image.load()
                return coloured(_upright(image))
        except _DAMAGED as error:
            raise BadImage(reason(error)) from None


def coloured(image: Image.Image) -> Image.Image:
    """Any picture in RGB with 256 shades. Raises BadImage for pixels of unknown range."""
    if image.mode == "RGB":
        return image
    if image.mode in _WIDE:
        shades = np.asarray(image).astype(np.float32) / _WIDE[image.mode]
        return Image.fromarray(shades.round().astype(np.uint8)).convert("RGB")
    if image.mode == "I":
        return _from_integers(image)
    if image.mode == "F":
        raise BadImage("floating-point pixels, whose range is unknown")
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    return image.convert("RGB")


def reason(error: BaseException) -> str:
    """Why an image could not be opened or decoded, in one line. Raises it again where the file is not at fault."""
    if isinstance(error, OSError) and error.errno in _OURS:
        raise error
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, UnidentifiedImageError):
        return "no image"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MOST_PIXELS:,} pixels"
    words = " ".join(str(getattr(error, "strerror", None) or error).split())
    return f"damaged: {words[:120] or type(error).__name__}"


def _sized(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise BadImage(f"{width} x {height}: more than {MOST_PIXELS:,} pixels")
    if max(image.size) > LONGEST * min(image.size):
        raise BadImage(f"{width} x {height}: one side over {LONGEST} times the other")


def _upright(image: Image.Image) -> Image.Image:
    """As the camera was held; as stored where its note is damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGED:
        return image


def _from_integers(image: Image.Image) -> Image.Image:
    shades = np.asarray(image)
    if shades.min() < 0 or shades.max() > 65535:
        raise BadImage("32-bit pixels, whose range is unknown")
    return Image.fromarray((shades / 257).round().astype(np.uint8)).convert("RGB")
