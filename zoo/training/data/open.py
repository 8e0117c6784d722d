"""From words to a data set. The folder ``sources`` is the registry of kinds."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

from ....compiler.suggest import did_you_mean, nearest
from . import sources
from .location import Location
from .values import Data

FOLDER, TAR = "folder", "tar"


@cache
def kinds() -> tuple[str, ...]:
    """The kinds of data sets there are."""
    found = Path(str(sources.__file__)).parent.iterdir()
    return tuple(sorted(file.stem for file in found if not file.stem.startswith("_")))


def open_data(text: str) -> Data:
    """``digits``, ``synthetic/pairs?size=64``, ``hfds/DIR``, ``torch/cifar100?root=DIR``, a folder or a tar.

    What begins with a kind's name is of that kind: ``./digits`` is a folder. Raises SpecError where there is none,
    where it is damaged or has another form, OSError.
    """
    named = tuple(kind for kind in kinds() if kind not in (FOLDER, TAR))
    at = Location.of(text, named, otherwise=TAR if text.partition("?")[0].lower().endswith(".tar") else FOLDER)
    if at.kind in (FOLDER, TAR) and not Path(at.rest).exists():
        near = nearest(text, named)
        hint = did_you_mean(text, near) if near else f"a folder, a .tar, or one of {', '.join(named)}"
        raise at.wrong("there is no such folder, file or data set", hint)
    return importlib.import_module(f"{sources.__name__}.{at.kind}").open(at)
