"""A folder of operators as a read-only mapping, and as a pydantic field type. The folder is the registry.

Nothing is imported until it is asked for: names come from the file names, and a name imports its one file. Other
packages add theirs under an entry-point group (``mixspec.mixers = {"shift": "their_package.shift"}``).
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticCustomError

from .complaints import NOTATION, UNKNOWN_NAME, WRONG_VALUE, all_keys, reword, short, together, wrong
from .errors import SpecError
from .notation.grammar import Clause, NotationError, Scalar, parse
from .operator import Operator
from .suggest import nearest, offer

Op = TypeVar("Op", bound=Operator)


class PluginError(SpecError):
    """An operator of another package that cannot be used: which, why, and who names it."""


class Registry(Mapping[str, type[Op]]):
    """Operators of one kind by the lower-case name of their file."""

    def __init__(self, package: str, base: type[Op]) -> None:
        self.package, self.base = package, base
        self.kind = package.rpartition(".")[2]

    __eq__ = object.__eq__
    __hash__ = object.__hash__  # types must be hashable: `Annotated[Mixer, registry] | None`

    def __repr__(self) -> str:
        return f"<{self.kind}: {', '.join(self)}>"

    @cached_property
    def _files(self) -> list[str]:
        folder = Path(str(importlib.import_module(self.package).__file__)).parent
        return sorted(file.stem for file in folder.glob("*.py") if not file.stem.startswith("_"))

    @cached_property
    def _plugins(self) -> dict[str, str]:
        from importlib.metadata import entry_points

        return {point.name.lower(): point.value for point in entry_points(group=f"mixspec.{self.kind}")}

    @cached_property
    def _loaded(self) -> dict[str, type[Op]]:
        return {}

    def __getitem__(self, name: str) -> type[Op]:
        word = name.lower()
        if word not in self._loaded:
            self._loaded[word] = self._load(word)
        return self._loaded[word]

    def _load(self, word: str) -> type[Op]:
        module = self._module(word)
        own = [
            member
            for member in vars(module).values()
            if inspect.isclass(member) and issubclass(member, self.base) and member.__module__ == module.__name__
            if not member.__name__.startswith("_")
        ]
        if len(own) != 1 or own[0].notation.lower() != word:
            found = ", ".join(f"{cls.__name__} ({cls.notation})" for cls in own) or "none"
            what = f"{module.__name__} must define one {self.base.__name__} with notation {word!r}; found {found}"
            raise TypeError(what) if word in self._files else PluginError.of(UNKNOWN_NAME, what, self._owner(word))
        return own[0]

    def _module(self, word: str) -> ModuleType:
        if word in self._files:
            return importlib.import_module(f"{self.package}.{word}")
        if word not in self._plugins:
            raise KeyError(word)
        try:
            return importlib.import_module(self._plugins[word])
        except ImportError as error:
            what = f"the plug-in {word!r} cannot be imported: {error}"
            raise PluginError.of(UNKNOWN_NAME, what, self._owner(word)) from None

    def _owner(self, word: str) -> str:
        return (
            f"some package names {self._plugins[word]} under the entry point mixspec.{self.kind}: repair or remove it"
        )

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*self._files, *self._plugins}))

    def __len__(self) -> int:
        return len({*self._files, *self._plugins})

    def find(self, name: str) -> type[Op]:
        """The class of that name, else a pydantic error with a suggestion."""
        try:
            return self[name]
        except PluginError as error:
            raise wrong(UNKNOWN_NAME, error.problems[0].what, error.problems[0].hint, operator=True) from None
        except KeyError:
            near = self.near(name)
            hint = offer(near, [cls.notation for cls in self._sound()])
            raise wrong(UNKNOWN_NAME, f"unknown {self.word} {name!r}", hint, operator=True, nearest=near) from None

    def near(self, name: str) -> list[str]:
        """The notations most like an unknown name, or best known under a name like it."""
        names = {also: cls.notation for cls in self._sound() for also in (*cls.also, cls.notation)}
        return list(dict.fromkeys(names[one] for one in nearest(name, names)))

    def _sound(self) -> Iterator[type[Op]]:
        """All operators but plug-ins that cannot be loaded, which no suggestion fails for."""
        for word in self:
            try:
                yield self[word]
            except PluginError:
                continue

    @property
    def word(self) -> str:
        """One of these, in words: ``mixer`` for the folder ``mixers``."""
        return self.kind.removesuffix("s") if not self.kind.endswith("ies") else self.kind[:-3] + "y"

    def make(self, value: object) -> Op:
        """An operator from notation, from its typed form, or as it is. Raises pydantic errors only."""
        if isinstance(value, self.base):
            return value
        if isinstance(value, str):
            return self.call(*_single(value))
        if isinstance(value, Mapping) and isinstance(value.get("type"), str):
            return self.call(value["type"], {key: field for key, field in value.items() if key != "type"})
        raise wrong(
            WRONG_VALUE, f"{short(value)} is no {self.word}", "notation such as `NAME key=value`, or {type: NAME, ...}"
        )

    def call(self, name: str, params: Mapping[str, Scalar]) -> Op:
        """The operator ``name`` with these fields."""
        cls = self.find(name)
        try:
            return cls.model_validate(dict(params))
        except ValidationError as error:
            raise together(cls.notation, reword(error, cls)) from None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            self.make, serialization=core_schema.plain_serializer_function_ser_schema(lambda operator: operator.typed())
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return self.json_schema()

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of one operator: notation, or the typed form of any of them."""
        names = ", ".join(self[name].notation for name in self)
        notation = {"type": "string", "description": f"{self.word}: {names}", "pattern": rf"^\s*{self._pattern}\s*$"}
        return {"title": self.word, "anyOf": [notation, *self.typed_schemas()]}

    def plan_schema(self) -> dict[str, Any]:
        """JSON Schema of notation for all stages."""
        stages = r"(\s+in\s+stages?\s+\d+(\s*(-|–|to|and|,)\s*\d+)*)?"
        return {"type": "string", "pattern": rf"^(\s*{self._pattern}{stages}\s*(,(?!\s*$)|$))+$"}

    @cached_property
    def _pattern(self) -> str:
        """One operator with parameters of its own: names without case, parameters under both of their names."""
        value = r"\s*=\s*(\([^()]*\)|[^\s,()]+)"
        return f"({'|'.join(_call_pattern(name, self[name], value) for name in self)})"

    def typed_schemas(self, *, per_stage: bool = False) -> list[dict[str, Any]]:
        """JSON Schema of every operator's typed form, with lists of values for the stages where asked."""
        return [_typed_schema(self[name], per_stage) for name in self]


def untitled(fields: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The fields without the titles that pydantic makes of their names."""
    return {
        key: {word: value for word, value in field.items() if word != "title" or not str(value)[:1].isupper()}
        for key, field in fields.items()
    }


def _by_stage(field: dict[str, Any]) -> dict[str, Any]:
    """A value, or a list with one for each stage."""
    bare = {word: value for word, value in field.items() if word not in ("description", "default")}
    said = {word: value for word, value in field.items() if word == "description"}
    return {**said, "anyOf": [bare, {"type": "array", "items": bare}]}


def _call_pattern(name: str, cls: type[Operator], value: str) -> str:
    keys = "|".join(all_keys(cls))
    return rf"{_any_case(name)}(\s+({keys}){value})*" if keys else _any_case(name)


def _any_case(name: str) -> str:
    """A pattern for the name however its letters are written."""
    return "".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in name)


def _typed_schema(cls: type[Operator], per_stage: bool) -> dict[str, Any]:
    schema = cls.model_json_schema(by_alias=True)
    anyhow = {"type": "string", "pattern": f"^{_any_case(cls.notation)}$"}
    fields: dict[str, Any] = {"type": {"anyOf": [{"const": cls.notation}, anyhow]}}
    for key, field in untitled(schema.get("properties", {})).items():
        fields[key] = _by_stage(field) if per_stage else field
    names = {field.alias or name: name for name, field in cls.model_fields.items()}
    fields |= {names[key]: field for key, field in list(fields.items()) if names.get(key, key) != key}
    return {
        "title": f"{cls.notation}-by-stage" if per_stage else cls.notation,
        "description": (cls.__doc__ or "").strip().split("\n")[0],
        "type": "object",
        "properties": fields,
        "required": ["type"],
        "additionalProperties": False,
    }


def _single(text: str) -> tuple[str, dict[str, Scalar]]:
    """Name and parameters of notation that holds one operator for everything."""
    clauses = parsed(text)
    if len(clauses) > 1 or clauses[0].stages or any(param.per_stage for param in clauses[0].params):
        raise wrong(NOTATION, "one operator is expected here", "stages are for `mixers` only")
    return clauses[0].name, {param.key: param.values[0] for param in clauses[0].params}


def parsed(text: str) -> tuple[Clause, ...]:
    """The clauses of notation; a mistake becomes a pydantic error that knows its characters."""
    try:
        return parse(text)
    except NotationError as error:
        raise notation_error(error) from None


def notation_error(error: NotationError) -> PydanticCustomError:
    """A NotationError as pydantic wants it."""
    offset, length = error.extent
    return wrong(error.code, error.what, error.hint, offset=offset, length=length, nearest=error.nearest)
