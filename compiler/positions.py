"""Where in the text a path of the tree comes from, down to the parameter inside a notation string."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .document import Document
from .errors import Path, Span
from .notation.grammar import Extent, NotationError, parse
from .notation.stages import plan


def locate(
    doc: Document,
    path: Path,
    *,
    stages: int = 4,
    key: bool = False,
    operator: bool = False,
    extent: Extent | None = None,
    same: Mapping[str, str] | None = None,
) -> Span:
    """The span of the value at ``path``, of its key, or of an extent in its text.

    ``("mixers", 2, "Ch")`` is stage 3's ``Ch`` in whatever form ``mixers`` is written. ``same`` names a field's
    second name.
    """
    here, rest, stage = _descend(doc, path, same or {})
    value = _value(doc, here)
    if isinstance(value, str) and (rest or operator or stage is not None) and extent is None:
        extent = _extent(value, rest, stage, stages, key, same or {})
    if extent is not None and isinstance(value, str):
        return doc.token(here, *extent)
    if operator and isinstance(value, dict):
        return doc.locate((*here, "type"))
    return doc.locate_key(here) if key else doc.locate(here)


def text_at(doc: Document, path: Path) -> tuple[Path, str, Span] | None:
    """The text that a path leads to or into: its own path, itself, its place without quotes; None where none is."""
    here, _, _ = _descend(doc, path, {})
    value = _value(doc, here)
    return (here, value, doc.token(here, 0, len(value))) if isinstance(value, str) else None


def _value(doc: Document, path: Path) -> Any:
    value: Any = doc.data
    for step in path:
        value = value[step]
    return value


def _descend(doc: Document, path: Path, same: Mapping[str, str]) -> tuple[Path, Path, int | None]:
    """As far as the document follows the path; what is left of it; the stage that was passed over."""
    value: Any = doc.data
    here: Path = ()
    stage: int | None = None
    for index, step in enumerate(path):
        found = _step(value, step, same)
        if found is not None:
            here, value = (*here, found), value[found]
        elif isinstance(step, int) and isinstance(value, dict | str):
            stage = step  # one form for all stages
        else:
            return here, path[index:], stage
    if isinstance(value, list) and stage is not None and stage < len(value):
        here = (*here, stage)
    return here, (), stage


def _step(value: Any, step: str | int, same: Mapping[str, str]) -> str | int | None:
    if isinstance(value, list):
        return step if isinstance(step, int) and step < len(value) else None
    if not isinstance(value, dict):
        return None
    if isinstance(step, int):
        return next((key for key in value if _covers(key, step + 1)), None) if "type" not in value else None
    return next((name for name in (step, same.get(step)) if name in value), None)


def _covers(key: str, stage: int) -> bool:
    numbers = [
        int(word) for word in key.replace("–", " ").replace("-", " ").replace("to", " ").split() if word.isdigit()
    ]
    return bool(numbers) and numbers[0] <= stage <= numbers[-1]


def _extent(text: str, rest: Path, stage: int | None, stages: int, key: bool, same: Mapping[str, str]) -> Extent | None:
    """Of a parameter, or of the operator's name, as the stage sees it."""
    try:
        calls = plan(parse(text), stages).calls
    except NotationError:
        return None
    if not calls:
        return None
    extents = calls[min(stage or 0, stages - 1)].extents
    words = [str(rest[0]), same.get(str(rest[0]), "")] if rest else []
    for word in words:
        if word in extents:
            return extents[f"{word}="] if key and word else extents[word]
    return extents[""]
