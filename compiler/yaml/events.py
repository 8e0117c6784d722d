"""Values and spans out of YAML's event stream, in one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

import yaml

from ..errors import Path, Problem, Span, SpecError
from .marks import Event, anchor_width, scalar_span, span_of, tag_token
from .scalars import UNSAFE, NumberTooLarge, describe, resolve
from .syntax import START, explain

MAX_DEPTH = 50
MAX_VALUES = 10_000

_PARSER: Callable[[str], Any] = yaml.cyaml.CParser if yaml.__with_libyaml__ else yaml.SafeLoader  # type: ignore[attr-defined]


class Content(NamedTuple):
    """What a text holds: its values, and where each of them stands."""

    data: object
    spans: dict[Path, Span]
    keys: dict[Path, Span]
    inline: dict[Path, int]


@dataclass(slots=True)
class _Frame:
    """A mapping or list still open. In a mapping, ``key`` is set while its value is awaited."""

    path: Path
    value: Any
    start: tuple[int, int]
    is_mapping: bool
    is_key: bool
    key: str | None = None


class Builder:
    """Values and spans out of the event stream."""

    def __init__(self, text: str, source: str) -> None:
        self.text, self.source = text, source
        self.data: object = None
        self.spans: dict[Path, Span] = {}
        self.keys: dict[Path, Span] = {}
        self.inline: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Path, object, str | None]] = {}
        self.last = START
        self.count = self.documents = 0

    def build(self) -> Content:
        content = self.content()
        if self.problems:
            raise SpecError(*self.problems)
        return content

    def content(self) -> Content:
        """What can be read; ``problems`` then holds what is wrong with it. Raises SpecError where reading must stop."""
        self.walk()
        if not self.problems and self.is_empty():
            self.note("MX010", "the document is empty", "a spec starts with 'name: ...'", START)
        return Content(self.data, self.spans, self.keys, self.inline)

    def is_empty(self) -> bool:
        root = self.spans.get(())
        return self.data is None and (root is None or (root.line, root.column) == (root.end_line, root.end_column))

    def walk(self) -> None:
        handlers: dict[type[Any], Callable[[Event], None]] = {
            yaml.ScalarEvent: self.scalar,
            yaml.AliasEvent: self.alias,
            yaml.MappingStartEvent: self.open_mapping,
            yaml.SequenceStartEvent: self.open_list,
            yaml.MappingEndEvent: self.close,
            yaml.SequenceEndEvent: self.close,
            yaml.DocumentStartEvent: self.document,
        }
        next_event = _PARSER(self.text).get_event
        kind = None
        while kind is not yaml.StreamEndEvent:
            try:
                event = next_event()
            except yaml.MarkedYAMLError as error:
                self.stop(*explain(error, self.text))
            except (yaml.YAMLError, ValueError, OverflowError):
                # The pure-Python parser lets a few bad escapes and directives through to int() and chr().
                self.stop("MX002", "this cannot be read as YAML", "look for a bad escape in quotes", self.last)
            kind = type(event)
            handler = handlers.get(kind)
            if handler:
                handler(event)

    # Complaints

    def note(self, code: str, what: str, hint: str, span: Span, where: Path = ()) -> None:
        self.problems.append(Problem(code, what, hint, where, span, self.source))

    def stop(self, code: str, what: str, hint: str, span: Span, where: Path = ()) -> NoReturn:
        self.note(code, what, hint, span, where)
        raise SpecError(*self.problems) from None

    # Events

    def document(self, event: Event) -> None:
        self.documents += 1
        if self.documents > 1:
            hint = "a file holds one document; put the rest in a file of its own"
            self.stop("MX008", "a second document starts here", hint, span_of(event))

    def scalar(self, event: Event) -> None:
        span, skip = scalar_span(event, self.text, self.last)
        self.last = span
        if skip is None:
            self.check_escapes(event.value, span)
        frame = self.stack[-1] if self.stack else None
        if frame is not None and frame.key is None and frame.is_mapping:
            return self.key(event, span, frame)
        path = self.here()
        self.tally(span)
        self.spans[path] = span
        if skip is not None:
            self.inline[path] = skip
        value = event.value if event.style else self.resolve(event.value, span, path)
        if event.tag:
            self.refuse_tag(event, path)
        if event.anchor:
            self.anchors[event.anchor] = path, value, event.value
        self.put(value)

    def check_escapes(self, text: str, span: Span) -> None:
        bad = UNSAFE.search(text)
        if bad:
            self.note("MX006", f"an escape for {describe(bad[0])}", "remove it", span)

    def resolve(self, text: str, span: Span, path: Path) -> object:
        try:
            return resolve(text)
        except NumberTooLarge as error:
            self.note("MX011", str(error), "quote it if it is text", span, path)
            return None

    def key(self, event: Event, span: Span, frame: _Frame) -> None:
        text = event.value
        if event.tag:
            self.refuse_tag(event, frame.path)
        if event.anchor:
            self.anchors[event.anchor] = (), text, text
        if not event.style and text in ("<<", ""):
            self.refuse_plain_key(text, span)
        self.take_key(text, span)

    def refuse_plain_key(self, text: str, span: Span) -> None:
        if text:
            self.note("MX007", "merge key '<<'", "write the fields out; a spec is complete on one page", span)
        else:
            self.note("MX009", "a key is missing before ':'", "write 'key: value'", span)

    def take_key(self, text: str, span: Span) -> None:
        frame = self.stack[-1]
        frame.key = text
        path = (*frame.path, text)
        if text not in frame.value:
            self.keys[path] = span
            return
        first = self.keys[path].line if path in self.keys else span.line
        lines = f"lines {first} and {span.line}" if first != span.line else f"twice on line {first}"
        self.note("MX003", f"key {_short(text)} given twice, {lines}", "keep one of them", span, path)

    def alias(self, event: Event) -> None:
        span = self.last = span_of(event)
        if event.anchor not in self.anchors:
            hint = "text that starts with * needs quotes"
            self.stop("MX002", f"alias *{event.anchor} has no anchor above", hint, span)
        origin, value, text = self.anchors[event.anchor]
        if any(frame.value is value for frame in self.stack):
            self.stop("MX005", f"alias *{event.anchor} holds itself", "write the value out", span)
        if self.wants_key():
            return self.alias_key(text, span)
        path = self.here()
        self.spans[path] = span
        self.put(self.copy(value, origin, path, span))

    def alias_key(self, text: str | None, span: Span) -> None:
        if text is None:
            self.refuse_key(span)
        self.take_key("" if text is None else text, span)

    def copy(self, value: object, old: Path, new: Path, span: Span) -> object:
        """The anchored value again, with the original's spans under the alias's path."""
        self.tally(span)
        if not isinstance(value, (dict, list)):
            return value
        self.check_depth(new, span)
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        copies = {name: self.copy_entry(child, (*old, name), (*new, name), span) for name, child in pairs}
        return copies if isinstance(value, dict) else list(copies.values())

    def copy_entry(self, child: object, old: Path, new: Path, span: Span) -> object:
        self.spans[new] = self.spans.get(old, span)
        if old in self.keys:
            self.keys[new] = self.keys[old]
        if old in self.inline:
            self.inline[new] = self.inline[old]
        return self.copy(child, old, new, span)

    def open_mapping(self, event: Event) -> None:
        self.open(event, {})

    def open_list(self, event: Event) -> None:
        self.open(event, [])

    def open(self, event: Event, value: Any) -> None:
        span, is_key = span_of(event), self.wants_key()
        path = (*self.stack[-1].path, "?") if is_key else self.here()
        if is_key:
            self.refuse_key(span)
        if event.tag:
            self.refuse_tag(event, path)
        self.tally(span)
        self.check_depth(path, span)
        if event.anchor:
            self.anchors[event.anchor] = path, value, None
        start = span.line, span.column + anchor_width(event, self.text)
        self.stack.append(_Frame(path, value, start, isinstance(value, dict), is_key))

    def close(self, event: Event) -> None:
        frame = self.stack.pop()
        if event.end_mark.index > event.start_mark.index:
            # Only a bracket has an end of its own; a block ends where its last value does.
            self.last = span_of(event)
        self.spans[frame.path] = Span(*frame.start, self.last.end_line, self.last.end_column)
        if frame.is_key:
            self.stack[-1].key = "?"
        else:
            self.put(frame.value)

    # The walk's position

    def wants_key(self) -> bool:
        frame = self.stack[-1] if self.stack else None
        return frame is not None and frame.key is None and frame.is_mapping

    def here(self) -> Path:
        if not self.stack:
            return ()
        frame = self.stack[-1]
        return (*frame.path, len(frame.value) if frame.key is None else frame.key)

    def put(self, value: object) -> None:
        if not self.stack:
            self.data = value
            return
        frame = self.stack[-1]
        if frame.key is None:
            frame.value.append(value)
        else:
            frame.value[frame.key] = value
            frame.key = None

    def tally(self, span: Span) -> None:
        self.count += 1
        if self.count > MAX_VALUES:
            self.stop("MX005", f"more than {MAX_VALUES} values, aliases expanded", "a spec is one page", span)

    def check_depth(self, path: Path, span: Span) -> None:
        if len(path) >= MAX_DEPTH:
            self.stop("MX005", f"nested more than {MAX_DEPTH} deep", "a spec needs five levels", span)

    # Refusals

    def refuse_key(self, span: Span) -> None:
        hint = "a key is one word or number; text that starts with [ or { needs quotes"
        self.note("MX009", "a mapping or list as a key", hint, span)

    def refuse_tag(self, event: Event, where: Path) -> None:
        tag, span = tag_token(event, self.text)
        self.note("MX004", f"tag {_short(tag)}", "remove it; text that starts with ! needs quotes", span, where)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
