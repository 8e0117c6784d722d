"""What a spec leaves out and the rest of it tells."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any, get_args

from ..document import Document
from ..edits import Edit
from ..errors import Problem, Span, SpecError
from ..families import registry as families
from ..parse import typed
from .file import File
from .finding import Fix

MOST_KEYS = 40


def supplied(problem: Problem, file: File) -> Fix | None:
    """The line that is missing, where there is only one that fits."""
    document = file.document
    if document is None or not isinstance(document.data, dict):
        return None
    where = problem.where
    if where == ("name",):
        return _line(document, "name", _name(file.source), ())
    if where == ("family",):
        folder = PurePath(file.source).parent.name
        return _line(document, "family", folder if folder in families else family(document), ("name",))
    if not where and "size" not in document.data:
        return _line(document, "size", _size(document), ("name", "family"))
    return None


def _line(document: Document, key: str, value: str | None, behind: tuple[str, ...]) -> Fix | None:
    """A fix that writes the entry behind others, or first."""
    if value is None or (document.spans and document.locate(()).column != 1):
        return None
    above = [document.spans[(other,)].end_line for other in behind if (other,) in document.spans]
    line = max(above) + 1 if above else min(span.line for span in document.keys.values())
    return Fix(f"add {key}: {value}", (Edit(Span(line, 1, line, 1), f"{key}: {value}\n"),))


def _name(source: str) -> str | None:
    stem = PurePath(source).stem
    return stem if re.fullmatch(r"[a-z0-9][a-z0-9_-]*", stem) else None


def family(document: Document) -> str | None:
    """The only family that takes the document as it stands."""
    data: Any = document.data
    if len(data) > MOST_KEYS:
        return None
    fitting = [name for name in families if _fits(document, {**data, "family": name})]
    return fitting[0] if len(fitting) == 1 else None


def _fits(document: Document, data: dict[str, Any]) -> bool:
    try:
        typed(document, data)
    except SpecError:
        return False
    return True


def _size(document: Document) -> str | None:
    """The named size that the model's name ends with."""
    data: Any = document.data
    cls = families.get(str(data.get("family")).lower())
    field = cls.model_fields.get("size") if cls else None
    sizes = (
        [size for part in (field.annotation, *get_args(field.annotation)) for size in get_args(part)] if field else []
    )
    words = re.split(r"[_-]", str(data.get("name", "")))
    found = [size for size in dict.fromkeys(sizes) if isinstance(size, str) and size in words]
    return found[0] if len(found) == 1 else None
