"""From a name to a file of weights: those that ship, those on the Hub, and foreign ones, ported once and kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from .. import __version__
from ..compiler.resolve import Network
from . import entries
from .entries import Entry
from .hub import is_remote, local
from .port import ported
from .tensorfile import WRONG_DIGEST, refused
from .weights import save

PORTED = "ported"
"""Folder of the cache for foreign weights in our layout."""
IMAGENET = 1000
"""Classes of ImageNet-1k."""


def weights_file(weights: str | Path) -> Path:
    """The file, in our own layout, behind a path, the name of an entry or of its spec, or a ``hf://`` address.

    A file on the Hub is downloaded when it is first asked for. Raises SpecError for an unknown name, for what cannot
    be downloaded and for a file with another digest than its entry has; a path is not opened.
    """
    if is_remote(weights):
        return local(weights)
    path = Path(weights)
    if path.suffix == ".safetensors" or len(path.parts) > 1 or path.is_file():
        return path
    return file_of(entries.of(str(weights)))


def file_of(entry: Entry) -> Path:
    """The weights of an entry as a file in our own layout. Raises what :func:`weights_file` raises."""
    file = entry.file if entry.shipped else local(entry.url)
    if entry.sha256 and (found := sha256(file)) != entry.sha256:
        what = f"the file has sha256 {found[:12]}, its entry {entry.name} says {entry.sha256[:12]}"
        raise refused(file, WRONG_DIGEST, what, "it was damaged, or published anew")
    return _in_our_layout(entry, file) if entry.layout else file


def sha256(file: Path) -> str:
    """Digest of a file, in hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _in_our_layout(entry: Entry, file: Path) -> Path:
    """The port of a foreign file, made when it is first asked for; the name in the cache says of what and for what."""
    from huggingface_hub import cached_assets_path

    assert entry.layout, "a file in our own layout is not ported"
    network = entry.network()
    folder = cached_assets_path("mixspec", namespace=PORTED, subfolder=entry.name)
    target = Path(folder) / f"{sha256(file)[:16]}-{network.digest[:16]}-{__version__}.safetensors"
    if not target.exists():
        model = ported(file, layout=entry.layout, network=network)
        save(model, target, metrics=_metrics(entry), data=_data(entry, network))
    return target


def _metrics(entry: Entry) -> dict[str, Any]:
    return {"from": entry.url, "reported": [metric.model_dump(mode="json") for metric in entry.metrics]}


def _data(entry: Entry, network: Network) -> dict[str, Any] | None:
    """How images are prepared, and the classes of ImageNet-1k as timm names them."""
    if entry.preprocess is None or network.family.classes != entry.classes or entry.classes != IMAGENET:
        return None
    from timm.data import ImageNetInfo  # type: ignore[attr-defined]

    names = ImageNetInfo("imagenet-1k")
    classes = [names.index_to_description(index) for index in range(IMAGENET)]
    return {"name": "ImageNet-1k", "classes": classes, **entry.preprocess.model_dump(mode="json")}
