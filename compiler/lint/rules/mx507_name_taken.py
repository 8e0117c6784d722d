"""Two files with one name.

What
    Two specs of the same run have the same `name`.

Why
    Models are registered by name; one of the two could never be built.

Example
    Nothing to show: it is about the file, not about a line of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import Problem
from ..file import File

severity = "warning"


def check(file: File) -> Iterator[Problem]:
    """At the name, in the file that comes second."""
    other = file.taken.get(file.about.name) if file.about else None
    if other is not None and other != file.source and file.has(("name",)):
        yield file.problem("MX507", "the name is taken", f"another model of that name is in {other}", ("name",))
