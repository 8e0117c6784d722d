"""One image file of every kind that goes wrong somewhere, all of the same picture: each a function from a path."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 24
RED, GREEN = np.arange(SIDE) * 10, np.arange(SIDE) * 5
PIXELS = np.stack([np.broadcast_to(RED[:, None], (SIDE, SIDE)), np.broadcast_to(GREEN, (SIDE, SIDE)),
                   np.full((SIDE, SIDE), 60)], 2).astype(np.uint8)  # fmt: skip
"""Red grows downwards, green to the right."""
GREY = np.asarray(Image.fromarray(PIXELS).convert("L"))


def saved(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    """The picture, or another, as a file of that kind."""
    file = io.BytesIO()
    (image or Image.fromarray(PIXELS)).save(file, kind, **options)
    return file.getvalue()


def half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flipped(content: bytes) -> bytes:
    """Some bytes in the middle changed."""
    place = len(content) // 2
    return content[:place] + bytes(255 - byte for byte in content[place : place + 40]) + content[place + 40 :]


def gigapixel() -> bytes:
    """A PNG of a gigapixel in a hundred kilobytes."""
    side = 32000
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(4001) * 500) for _ in range(side // 500)) + rows.flush()

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def animated(kind: str) -> bytes:
    """The picture, and then a white one."""
    white = Image.new("RGB", (SIDE, SIDE), "white")
    return saved(kind, save_all=True, append_images=[white], duration=100, loop=0)


def turned() -> bytes:
    """Held on its side by the camera."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    return saved("PNG", Image.fromarray(PIXELS).transpose(Image.Transpose.ROTATE_90), exif=exif)


def damaged_exif() -> bytes:
    return saved("JPEG", quality=95, subsampling=0, exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(20))


def transparent() -> Image.Image:
    image = Image.fromarray(PIXELS).convert("RGBA")
    image.putalpha(Image.fromarray(np.tile(np.arange(SIDE, dtype=np.uint8) * 10, (SIDE, 1))))
    return image


def palette() -> bytes:
    image = Image.fromarray(PIXELS).quantize(256)
    return saved("PNG", image, transparency=bytes(range(256)))


def _written(content: Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content()) and None


def _vanished(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def _locked(path: Path) -> None:
    path.write_bytes(saved("PNG"))
    path.chmod(0)


Make = Callable[[Path], None]

BAD: Mapping[str, tuple[str, Make]] = {
    "empty file": ("png", _written(lambda: b"")),
    "text with an image's ending": ("jpg", _written(lambda: b"<html>404 Not Found</html>")),
    "cut-off PNG": ("png", _written(lambda: half(saved("PNG")))),
    "cut-off JPEG": ("jpg", _written(lambda: half(saved("JPEG")))),
    "PNG with changed bytes": ("png", _written(lambda: flipped(saved("PNG")))),
    "PNG of a gigapixel": ("png", _written(gigapixel)),
    "strip of 2 x 3000 pixels": ("png", _written(lambda: saved("PNG", Image.new("L", (2, 3000))))),
    "floating-point TIFF": ("tif", _written(lambda: saved("TIFF", Image.fromarray(GREY.astype(np.float32))))),
    "32-bit TIFF": ("tif", _written(lambda: saved("TIFF", Image.fromarray(GREY.astype(np.int32) * 100000)))),
    "file that vanished": ("png", _vanished),
    "file without permission to read": ("png", _locked),
    "pipe": ("png", os.mkfifo),
}
"""Those that are left out, with the ending of their file."""

READ: Mapping[str, tuple[str, Make, bool]] = {
    "RGB": ("png", _written(lambda: saved("PNG")), False),
    "grey": ("png", _written(lambda: saved("PNG", Image.fromarray(GREY))), True),
    "16-bit grey PNG": ("png", _written(lambda: saved("PNG", Image.fromarray(GREY.astype(np.uint16) * 257))), True),
    "16-bit grey TIFF": ("tif", _written(lambda: saved("TIFF", Image.fromarray(GREY.astype(np.uint16) * 257))), True),
    "grey with alpha": ("png", _written(lambda: saved("PNG", Image.fromarray(GREY).convert("LA"))), True),
    "RGB with alpha": ("png", _written(lambda: saved("PNG", transparent())), False),
    "palette with alpha": ("png", _written(palette), False),
    "CMYK": ("tif", _written(lambda: saved("TIFF", Image.fromarray(PIXELS).convert("CMYK"))), False),
    "CMYK JPEG": ("jpg", _written(lambda: saved("JPEG", Image.fromarray(PIXELS).convert("CMYK"), quality=98)), False),
    "animated GIF": ("gif", _written(lambda: animated("GIF")), False),
    "animated PNG": ("png", _written(lambda: animated("PNG")), False),
    "animated WebP": ("webp", _written(lambda: animated("WEBP")), False),
    "turned by its EXIF note": ("png", _written(turned), False),
    "damaged EXIF note": ("jpg", _written(damaged_exif), False),
    "wrong ending": ("png", _written(lambda: saved("JPEG", quality=98, subsampling=0)), False),
}
"""Those that are read, and whether as grey."""
