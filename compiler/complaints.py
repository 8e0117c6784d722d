"""What pydantic finds, in our words: one line with what is wrong and what would be right.

Validators raise :func:`wrong`; whatever pydantic itself raises is reworded by :func:`reword`, next to the class whose
fields make good suggestions. A path in ``loc`` is a path of the tree: ``("mixers", 2, "Ch")``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from .errors import Path
from .suggest import did_you_mean, nearest, offer

UNKNOWN_KEY, WRONG_VALUE, MISSING_KEY, UNKNOWN_NAME, NOTATION = "MX101", "MX102", "MX103", "MX104", "MX105"
COVERAGE, VALUES, WRONG_TYPE = "MX106", "MX107", "MX109"

_NUMBER = re.compile(r"\s*(-?\d{1,18}+)(\.\d+)?(e-?\d+)?(?!\s*x\s*(?!\1\b)\d)")
"""A number in front of whatever follows it, but for the first of two different sides (`7x5`)."""

_THOUSANDS = re.compile(r"(?<=\d)[,_](?=\d{3}(?!\d))")
_WORDS = re.compile(r"[(]?\s*(\w+(?:\s*,\s*\w+)*)\s*,?\s*[)]?")

NAME = r"^[a-z0-9][a-z0-9_-]*$"
"""Names of models, recipes and sweeps, which are names of files too."""

NOT_A_NAME = "is not made of small letters, digits, _ and -"

ELSEWHERE = {
    "acc": ("top1",),
    "accuracy": ("top1",),
    "architecture": ("family",),
    "channels": ("dims", "width"),
    "depth": ("size",),
    "dropout": ("head_dropout",),
    "embed_dim": ("dims", "width"),
    "embed_dims": ("dims",),
    "gflops": ("flops",),
    "img_size": ("image",),
    "input_size": ("image",),
    "layers": ("depths",),
    "macs": ("flops",),
    "operator": ("mixers",),
    "paper": ("published", "source"),
    "resolution": ("image",),
    "results": ("published",),
    "title": ("name",),
}
"""Keys of other libraries and papers, and ours for the same."""

_TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "model_type": "a mapping",
    "dict_type": "a mapping",
}


MOST = 200
"""Complaints about one value that are put in words; every one of them is compared with all known names."""


def wrong(
    code: str,
    what: str,
    hint: str = "",
    *,
    offset: int = -1,
    length: int = 0,
    key: bool = False,
    operator: bool = False,
    nearest: Iterable[str] = (),
) -> PydanticCustomError:
    """A complaint to raise inside a validator.

    ``offset`` and ``length`` are a place in a string; ``key`` and ``operator`` say that it is about the entry's key or
    its operator's name; ``nearest`` is what could stand there, best first.
    """
    place: dict[str, Any] = {"key": key, "operator": operator, "nearest": tuple(nearest)}
    if offset >= 0:
        place |= {"offset": offset, "length": length}
    return PydanticCustomError("problem", "{what}", {"code": code, "what": what, "hint": hint, **place})


def reword(error: ValidationError, cls: type[BaseModel], prefix: Path = ()) -> list[InitErrorDetails]:
    """The findings of ``error`` on ``cls`` as complaints, with ``prefix`` in front of their paths."""
    return [
        InitErrorDetails(type=_complaint(one, owner(cls, one["loc"])), loc=(*prefix, *path), input=one["input"])
        for path, one in _one_branch(error.errors(include_url=False)[:MOST], cls)
    ]


def owner(cls: type[BaseModel], path: Path) -> type[BaseModel]:
    """The model that holds the field at the end of ``path``: ``cls``, or one of its fields' models."""
    for step in path[:-1]:
        field = cls.model_fields.get(step) if isinstance(step, str) else None
        inner = [part for part in _members(field.annotation) if _is_model(part)] if field else []
        cls = inner[0] if inner else cls
    return cls


def _members(annotation: Any) -> list[Any]:
    """The types an annotation is made of."""
    return [annotation, *(inner for part in get_args(annotation) for inner in _members(part))]


def _is_model(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, BaseModel)


def _holds_models(cls: type[BaseModel], name: str) -> bool:
    """Whether a field is a list of mappings with keys of their own."""
    field = _fields(cls).get(name)
    return field is not None and any(map(_is_model, _members(field.annotation)))


def _fields(cls: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields under both of their names."""
    return {key: field for name, field in cls.model_fields.items() for key in (name, field.alias) if key}


def _one_branch(details: list[ErrorDetails], cls: type[BaseModel]) -> list[tuple[Path, ErrorDetails]]:
    """The findings with their paths; of a field that takes several types, only those of the type that was meant."""
    found: dict[tuple[Path, int], ErrorDetails] = {}  # by path, and by character where a text has several
    for detail in details:
        if detail["type"] == "default_factory_not_called":  # it follows from another finding
            continue
        path = detail["loc"]
        if steps := _union_at(cls, path):
            path, field = (*path[:steps], *path[steps + 1 :]), path[:steps]
            if _is_type_error(detail) and any(known[:steps] == field for known, _ in found):
                continue
            found = {key: one for key, one in found.items() if key[0][:steps] != field or not _is_type_error(one)}
        found[path, detail.get("ctx", {}).get("offset", -1)] = detail
    above = {path[:-1] for path, _ in found}  # of a list that is too short without its wrong items
    return [(path, one) for (path, _), one in found.items() if one["type"] != "too_short" or path not in above]


def _union_at(cls: type[BaseModel], path: Path) -> int:
    """How many steps lead to a field of several types, behind which pydantic names one of them; 0 for no such field."""
    for steps, step in enumerate(path[:-1], 1):
        field = _fields(owner(cls, path[:steps])).get(step) if isinstance(step, str) else None
        if field is not None and _is_union(field.annotation):
            return steps
    return 0


def _is_union(annotation: Any) -> bool:
    kinds = [one for one in get_args(annotation) if one is not type(None)]
    return get_origin(annotation) in (Union, UnionType) and len(kinds) > 1


def _is_type_error(detail: ErrorDetails) -> bool:
    return detail["type"] in _TYPES or detail["type"] == "literal_error"


def together(title: str, complaints: list[InitErrorDetails]) -> ValidationError:
    """One error that carries them all; raised inside a validator, pydantic merges it."""
    return ValidationError.from_exception_data(title, complaints)


def under(key: str | int, item: object, error: PydanticCustomError | ValidationError) -> list[InitErrorDetails]:
    """A complaint, or all that an error carries, as about what stands under that key."""
    if isinstance(error, PydanticCustomError):
        return [InitErrorDetails(type=error, loc=(key,), input=item)]
    details = error.errors(include_url=False)
    kinds = [PydanticCustomError("problem", "{what}", one["ctx"]) for one in details]
    return [
        InitErrorDetails(type=kind, loc=(key, *one["loc"]), input=one["input"])
        for kind, one in zip(kinds, details, strict=True)
    ]


def meant(key: str, known: Collection[str]) -> tuple[str, ...]:
    """The known keys that an unknown one may stand for, best first."""
    elsewhere = [word for word in ELSEWHERE.get(key.lower(), ()) if word in known][:1]
    return tuple(dict.fromkeys([*elsewhere, *nearest(key, sorted(known))]))


def known_keys(cls: type[BaseModel]) -> list[str]:
    """The names by which a spec can set the fields of ``cls``, the paper's letters first."""
    return [field.alias or name for name, field in cls.model_fields.items()]


def all_keys(cls: type[BaseModel]) -> list[str]:
    """Every name a field of ``cls`` answers to, the paper's letters first."""
    return list(dict.fromkeys([*known_keys(cls), *cls.model_fields]))


def _complaint(detail: ErrorDetails, cls: type[BaseModel]) -> PydanticCustomError:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "problem":
        return PydanticCustomError("problem", "{what}", context)
    name = next((step for step in reversed(detail["loc"]) if step in all_keys(cls)), cls.__name__.lower())
    if kind in ("extra_forbidden", "missing"):
        name = str(detail["loc"][-1])
    if kind == "extra_forbidden":
        return _unknown(name, cls)
    given = short(detail["input"])
    if kind == "missing" and isinstance(detail["loc"][-1], int):
        return wrong(WRONG_VALUE, f"{detail['loc'][0]} cannot be {given}", _describe(cls, str(detail["loc"][0])))
    if kind == "missing":
        return wrong(MISSING_KEY, f"{name} is missing", _describe(cls, name))
    if kind in _TYPES:
        what = f"{name} must be {_TYPES[kind]}, not {given}"
        hint, better = _describe(cls, name), _retyped(kind, detail["input"])
        if kind == "tuple_type" and _holds_models(cls, name):
            hint, better = f"begin every item with `- `: {hint}", []
        return wrong(WRONG_TYPE, what, hint, nearest=better)
    if kind in ("too_long", "too_short"):
        return wrong(WRONG_VALUE, f"{name} cannot be {given}", _describe(cls, name))
    if kind in ("literal_error", "enum"):
        expected = str(context.get("expected", ""))
        choices = [word.strip(" '") for part in expected.split(",") for word in part.split(" or ") if word.strip(" '")]
        choices = [{"True": "true", "False": "false"}.get(choice, choice) for choice in choices]  # as YAML has them
        word = str(detail["input"])
        hint = did_you_mean(word, choices)
        return wrong(UNKNOWN_NAME, f"{name} cannot be {given}", hint, nearest=nearest(word, choices))
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        what = f"{name} {given} {NOT_A_NAME if pattern == NAME else f'does not match {pattern}'}"
        return wrong(WRONG_VALUE, what, _describe(cls, name), nearest=_slug(str(detail["input"]), pattern))
    better = _bounded(context, detail["input"], cls, name)
    return wrong(WRONG_VALUE, f"{name}: {_lower(detail['msg'])}, not {given}", _describe(cls, name), nearest=better)


def _unknown(key: str, cls: type[BaseModel]) -> PydanticCustomError:
    """A key that is not known, or a known one under its other name beside the first."""
    if key in cls.model_fields:
        what = f"{key} is given twice, as {cls.model_fields[key].alias} too"
        return wrong(UNKNOWN_KEY, what, "keep one of them", key=True)
    letters = {full: field.alias or full for full, field in cls.model_fields.items()}
    near = list(dict.fromkeys(letters.get(known, known) for known in meant(key, all_keys(cls))))
    return wrong(UNKNOWN_KEY, f"unknown key {key!r}", offer(near, known_keys(cls)), key=True, nearest=near)


def _slug(text: str, pattern: str) -> list[str]:
    """The text in lower case with underscores, where that is what the pattern wants."""
    slug = re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_-")
    return [slug] if re.search(pattern, slug) else []


def _retyped(kind: str, value: object) -> list[str]:
    """The value as the wanted type writes it, where that is plain."""
    if kind == "string_type" and isinstance(value, int | float):
        return [f'"{str(value).lower() if isinstance(value, bool) else value}"']
    if kind == "bool_type":
        word = str(value).lower()
        meant = {"true": ("yes", "on", "1", "true"), "false": ("no", "off", "0", "false")}
        return [known for known, words in meant.items() if word in words]
    if kind == "tuple_type" and isinstance(value, str) and (words := _WORDS.fullmatch(value)):
        return [f"[{', '.join(word.strip() for word in words[1].split(','))}]"]
    text = _THOUSANDS.sub("", str(value))
    number = _NUMBER.match(text) if kind in ("int_type", "int_from_float", "float_type") else None
    if number and not isinstance(value, bool):
        return [number[0].strip() if kind == "float_type" else number[1]]
    return []


def _bounded(context: Mapping[str, Any], value: object, cls: type[BaseModel], name: str) -> list[str]:
    """Values inside the bounds that a number broke: without its sign, the default, the bound itself."""
    if isinstance(value, float) and value.is_integer() and not {"gt", "ge", "lt", "le"} & {*context}:
        return [str(int(value))]
    if not isinstance(value, int | float) or not {"gt", "ge", "lt", "le"} & {*context}:
        return []
    default = next((field.default for key, field in cls.model_fields.items() if name in (key, field.alias)), None)
    bounds = [context[key] for key in ("ge", "le") if key in context]
    others = [other for other in (abs(value), default, *bounds) if isinstance(other, int | float) and other != value]
    return [str(other) for other in others if _inside(other, context)]


def _inside(value: float, context: Mapping[str, Any]) -> bool:
    low = value > context.get("gt", value - 1) and value >= context.get("ge", value)
    return low and value < context.get("lt", value + 1) and value <= context.get("le", value)


def _describe(cls: type[BaseModel], name: str) -> str:
    for field_name, field in cls.model_fields.items():
        if name in (field_name, field.alias):
            return field.description or ""
    return ""


def short(value: object) -> str:
    """A value as the file has it, in at most 40 characters."""
    text = _flow(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _flow(value: object) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(item)}' for key, item in value.items())}}}"
    return repr(value)


def _lower(message: str) -> str:
    message = message.removeprefix("Input should be ").removeprefix("Value error, ")
    return f"must be {message}" if message.startswith(("greater", "less", "a ")) else message[:1].lower() + message[1:]
