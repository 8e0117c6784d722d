"""YAML text to plain Python values, with the place of every value and every key.

One pass over the parser's events. Lines end at LF, CRLF or CR, as in an editor; columns count characters from 1, a byte
order mark left out. An alias has the span of its own token; what lies inside an aliased value keeps the original's.
"""

from __future__ import annotations

import pathlib
import re
from dataclasses import dataclass
from itertools import islice

from .edits import split_lines
from .errors import Path, Problem, Span, SpecError
from .suggest import nearest, offer
from .yaml.events import Builder
from .yaml.scalars import UNWELCOME, describe, remedy, unwelcome
from .yaml.syntax import START

MAX_BYTES = 256 * 1024
ENDINGS = (".yaml", ".yml")
"""How files of specs, recipes and sweeps end."""
WEIGHTS = (".safetensors", ".pt", ".pth", ".ckpt", ".bin", ".onnx")
"""How files of weights end."""
_BRACKET = re.compile(r"(?:[&!]\S*\s+)*[\[{]")
MAX_LISTED = 20
"""Bad characters reported one by one; a binary file would hold thousands."""


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its values, and where each of them stands."""

    source: str
    text: str
    data: object
    spans: dict[Path, Span]
    keys: dict[Path, Span]
    inline: dict[Path, int]

    def locate(self, path: Path) -> Span:
        """The span of the value, or of the nearest value around it that exists."""
        while path and path not in self.spans:
            path = path[:-1]
        return self.spans.get(path, START)

    def locate_key(self, path: Path) -> Span:
        """The span of the entry's key; of the value where there is no key."""
        return self.keys.get(path) or self.locate(path)

    def token(self, path: Path, offset: int, length: int) -> Span:
        """Part of a string value; the whole value where its text is not what the file shows."""
        span, skip = self.locate(path), self.inline.get(path)
        if skip is None or offset < 0 or offset + length > span.end_column - span.column - 2 * skip:
            return span
        return span.within(skip + offset, length)

    def plain(self, path: Path, text: str) -> str:
        """A text as it can stand at ``path``: in quotes where it is bare inside brackets, which commas would end."""
        if self.inline.get(path) or not any(mark in text for mark in ",[]{}"):
            return text
        lines = split_lines(self.text)
        around = (self.spans[path[:depth]] for depth in range(len(path)) if path[:depth] in self.spans)
        inside = any(_BRACKET.match(lines[span.line - 1], span.column - 1) for span in around)
        return f'"{text}"' if inside else text


def load(text: str | bytes, source: str = "<string>") -> Document:
    """Parse one document; raises `SpecError` with every problem that can be found."""
    clean = decode(text, source).removeprefix("\ufeff")
    if problems := bad_characters(clean, source):
        raise SpecError(*problems)
    return Document(source, clean, *Builder(clean, source).build())


def gather(text: str, source: str) -> tuple[Document | None, list[Problem]]:
    """As much of a text as makes sense, with every problem in it; no document where the reading had to stop."""
    builder = Builder(text, source)
    try:
        return Document(source, text, *builder.content()), builder.problems
    except SpecError:
        return None, builder.problems


def read(path: pathlib.Path, source: str | None = None) -> Document:
    """Read and parse a file, never more of it than a spec may hold."""
    name = str(path) if source is None else source
    return load(content(path, name), name)


def content(path: pathlib.Path, source: str | None = None) -> bytes:
    """What a file holds, never more than a byte above what a spec may hold. Raises SpecError."""
    name = str(path) if source is None else source
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        what = f"a link to {path.readlink()}, where no file is" if path.is_symlink() else "no such file"
        raise _error(name, "MX001", what, _near(path)) from None
    except IsADirectoryError:
        raise _error(name, "MX001", "this is a folder, not a file", "name one file in it") from None
    except OSError as error:
        raise _error(name, "MX001", f"cannot be read: {(error.strerror or 'unknown reason').lower()}") from None
    except ValueError:
        raise _error(name, "MX001", "not a possible file name") from None


def _near(path: pathlib.Path) -> str:
    try:
        entries = [entry for entry in islice(path.parent.iterdir(), 1000) if entry.suffix in ENDINGS]
    except OSError:
        return f"there is no folder {path.parent}"
    files = {entry.stem: entry.name for entry in entries if entry.name != path.name}
    return offer([files[stem] for stem in nearest(path.stem, files)], ())


def _error(source: str, code: str, what: str, hint: str = "", span: Span = START) -> SpecError:
    return SpecError(Problem(code, what, hint, (), span, source))


def decode(data: str | bytes, source: str) -> str:
    """The text of a file. Raises SpecError if it is too large, of another encoding, or no text but weights."""
    if source.lower().endswith(WEIGHTS):
        hint = f"`mixspec verify {source}` and `mixspec inspect {source}` read weights"
        raise _error(source, "MX006", "this file holds weights, not a spec", hint)
    if len(data) > MAX_BYTES or (isinstance(data, str) and len(data.encode("utf-8", "surrogatepass")) > MAX_BYTES):
        raise _error(source, "MX005", f"the file is larger than {MAX_BYTES // 1024} KiB", "a spec is one page")
    if isinstance(data, str):
        return data
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _error(source, "MX006", "the file is UTF-16", "save it as UTF-8")
    return data.decode("utf-8", "surrogateescape")


def bad_characters(text: str, source: str) -> list[Problem]:
    """The characters a spec may not hold, up to the first NUL."""
    if not UNWELCOME.search(text):
        return []
    if "\0" in text:
        text = text[: text.index("\0") + 1]
    found = islice(unwelcome(text), MAX_LISTED)
    return [Problem("MX006", describe(c), remedy(c), (), span, source) for c, span in found]
