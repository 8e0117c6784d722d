"""What pydantic finds, in our words: one line with what is wrong and what would be right.

Validators raise :func:`wrong`; whatever pydantic itself raises is reworded by :func:`reword`, next to the class whose
fields make good suggestions. A path in ``loc`` is a path of the tree: ``("mixers", 2, "Ch")``.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from .errors import Path
from .suggest import did_you_mean

UNKNOWN_KEY, WRONG_VALUE, MISSING_KEY, UNKNOWN_NAME, NOTATION = "MX101", "MX102", "MX103", "MX104", "MX105"

_TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "model_type": "a mapping",
    "dict_type": "a mapping",
}


def wrong(code: str, what: str, hint: str = "", **place: Any) -> PydanticCustomError:
    """A complaint to raise inside a validator. ``place``: ``offset`` and ``length`` in a string, or ``key=True``."""
    return PydanticCustomError("problem", "{what}", {"code": code, "what": what, "hint": hint, **place})


def reword(error: ValidationError, cls: type[BaseModel], prefix: Path = ()) -> list[InitErrorDetails]:
    """The findings of ``error`` on ``cls`` as complaints, with ``prefix`` in front of their paths."""
    return [
        InitErrorDetails(type=_complaint(detail, cls), loc=(*prefix, *detail["loc"]), input=detail["input"])
        for detail in error.errors(include_url=False)
    ]


def together(title: str, complaints: list[InitErrorDetails]) -> ValidationError:
    """One error that carries them all; raised inside a validator, pydantic merges it."""
    return ValidationError.from_exception_data(title, complaints)


def known_keys(cls: type[BaseModel]) -> list[str]:
    """The names by which a spec can set the fields of ``cls``, the paper's letters first."""
    return [field.alias or name for name, field in cls.model_fields.items()]


def _complaint(detail: ErrorDetails, cls: type[BaseModel]) -> PydanticCustomError:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "problem":
        return PydanticCustomError("problem", "{what}", context)
    name = str(detail["loc"][-1]) if detail["loc"] else cls.__name__
    if kind == "extra_forbidden":
        return wrong(UNKNOWN_KEY, f"unknown key {name!r}", did_you_mean(name, known_keys(cls)), key=True)
    if kind == "missing":
        return wrong(MISSING_KEY, f"{name} is missing", _describe(cls, name))
    given = _short(detail["input"])
    if kind in _TYPES:
        return wrong(WRONG_VALUE, f"{name} must be {_TYPES[kind]}, not {given}", _describe(cls, name))
    if kind in ("literal_error", "enum"):
        expected = str(context.get("expected", ""))
        choices = [word.strip(" '") for part in expected.split(",") for word in part.split(" or ")]
        return wrong(
            UNKNOWN_NAME, f"{name} cannot be {given}", did_you_mean(str(detail["input"]), filter(None, choices))
        )
    return wrong(WRONG_VALUE, f"{name}: {_lower(detail['msg'])}, not {given}", _describe(cls, name))


def _describe(cls: type[BaseModel], name: str) -> str:
    for field_name, field in cls.model_fields.items():
        if name in (field_name, field.alias):
            return field.description or ""
    return ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _lower(message: str) -> str:
    message = message.removeprefix("Input should be ").removeprefix("Value error, ")
    return f"must be {message}" if message.startswith(("greater", "less", "a ")) else message[:1].lower() + message[1:]
