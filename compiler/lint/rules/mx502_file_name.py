"""A file that is not called after its model.

What
    The file's name without `.yaml` is the spec's `name`.

Why
    Models are found by the file's name and registered by the spec's; they must not differ.

Example
    Bad::

        # file: tiny.yaml
        name: small
        family: metaformer
        size: s12
        mixers: SepConv

    Good::

        # file: small.yaml
        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from ...errors import Problem
from ..file import File

severity = "warning"
repairs = True


def check(file: File) -> Iterator[Problem]:
    """Compare the two, for files that have a name; an illegal one, for which another stands in, is left alone."""
    stem = PurePath(file.source).stem
    said = file.document.data if file.document else None
    name = said.get("name") if isinstance(said, dict) else None
    if name is None or file.name != name or file.source.startswith("<") or stem == name:
        return
    span = file.span(("name",))
    better = (stem,) if re.fullmatch(r"[a-z0-9][a-z0-9_-]*", stem) else ()
    what, hint = f"the file is called {stem}", f"name: {stem}, or rename the file to {name}.yaml"
    yield Problem("MX502", what, hint, ("name",), span, file.source, nearest=better)
