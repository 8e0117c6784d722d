"""JSON Schema of specs, for editors and for validators in other languages. Draft 2020-12."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from .families import registry as families
from .family import Family
from .recipe import OPTIMISERS, Recipe
from .registry import untitled
from .spec import About

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_WORTH = 400
"""Characters from which on a reference is shorter to read than the thing."""


def schema(family: str | None = None) -> dict[str, Any]:
    """What a spec may say: of one family, or of all, told apart by the value of ``family``. KeyError for no family.

    Checks that span keys (a head that does not divide a width) are the linter's; the schema knows keys and values.
    """
    if family is not None:
        own, defs = _of(families[family])
        return _compact({"$schema": DIALECT, "title": f"mixspec: {families[family].notation}", **own, "$defs": defs})
    whole, defs = _chooser(), {}
    for name in families:
        own, shared = _of(families[name])
        defs |= {name: own, **shared}
    return _compact({"$schema": DIALECT, "title": "mixspec", **whole, "$defs": defs})


def recipe_schema() -> dict[str, Any]:
    """What a training recipe may say."""
    own = Recipe.model_json_schema()
    fields = _described(own, Recipe)
    fields["opt"] |= {"enum": list(OPTIMISERS)}
    return {
        "$schema": DIALECT,
        "title": "mixspec recipe",
        "description": _summary(Recipe),
        "type": "object",
        "properties": fields,
        "required": own["required"],
        "anyOf": [{"required": ["lr"]}, {"required": ["lr_base"]}],
        "additionalProperties": False,
        **({"$defs": own["$defs"]} if "$defs" in own else {}),
    }


def _chooser() -> dict[str, Any]:
    """The key ``family`` decides which keys there are."""
    branches = [
        {"if": {"properties": {"family": {"const": name}}}, "then": {"$ref": f"#/$defs/{name}"}} for name in families
    ]
    description = About.model_fields["family"].description
    return {
        "type": "object",
        "properties": {"family": {"enum": list(families), "description": description}},
        "required": ["name", "family"],
        "allOf": branches,
    }


def _of(cls: type[Family]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The object that a spec of this family is, and the definitions it refers to."""
    about, own = About.model_json_schema(), cls.model_json_schema()
    fields = _described(about, About) | {"family": {"const": cls.notation, "description": _summary(cls)}}
    fields |= _both_names(_described(own, cls), cls)
    object_schema = {
        "description": _summary(cls),
        "type": "object",
        "properties": fields,
        "required": sorted({*about.get("required", ()), *own.get("required", ())}),
        "additionalProperties": False,
    }
    return object_schema, about.get("$defs", {}) | own.get("$defs", {})


def _described(schema: dict[str, Any], cls: type[BaseModel]) -> dict[str, Any]:
    """The properties, each with its field's description also where the type brings one of its own."""
    words = {field.alias or name: field.description for name, field in cls.model_fields.items()}
    return {key: {**value, "description": words[key] or ""} for key, value in untitled(schema["properties"]).items()}


def _both_names(fields: dict[str, Any], cls: type[BaseModel]) -> dict[str, Any]:
    """The properties under the short names and the full ones: a spec may use either."""
    full = {field.alias: name for name, field in cls.model_fields.items() if field.alias}
    return fields | {full[key]: value for key, value in fields.items() if key in full}


def _summary(cls: type[BaseModel]) -> str:
    return (cls.__doc__ or "").strip().split("\n")[0]


def _compact(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with everything titled that stands in it more than once written out once, under ``$defs``."""
    seen = Counter(_titled(schema))
    defs: dict[str, Any] = {}
    names: dict[str, str] = {}

    def refer(value: Any) -> Any:
        if isinstance(value, list):
            return [refer(item) for item in value]
        if not isinstance(value, dict):
            return value
        text = _text(value)
        if seen[text] < 2 or len(text) < _WORTH:
            return {key: refer(item) for key, item in value.items()}
        if text not in names:
            name = value["title"]
            names[text] = name if name not in {*defs, *schema["$defs"]} else f"{name}-{len(defs)}"
            defs[names[text]] = None  # holds the place while what is inside is named
            defs[names[text]] = {key: refer(item) for key, item in value.items()}
        return {"$ref": f"#/$defs/{names[text]}"}

    compact = {key: refer(value) for key, value in schema.items()}
    return {**compact, "$defs": {**compact["$defs"], **defs}}


def _titled(value: Any) -> Iterator[str]:
    """Every schema with a title, as text."""
    if isinstance(value, dict):
        if isinstance(value.get("title"), str):
            yield _text(value)
        for item in value.values():
            yield from _titled(item)
    elif isinstance(value, list):
        for item in value:
            yield from _titled(item)


def _text(value: dict[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)
