"""Operators of single blocks that differ from their stage's: a mapping from the block's path in the tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticCustomError, core_schema

from .complaints import COVERAGE, WRONG_VALUE, short, together, under, wrong
from .operator import Operator
from .registry import Registry

Op = TypeVar("Op", bound=Operator)
PATH = re.compile(r"stages\.(\d{1,3})\.blocks\.(\d{1,3})")


class PerBlock(Generic[Op]):
    """A pydantic field type: pairs of a block's path (``stages.0.blocks.1``) and its operator, written as a mapping.

    How many blocks the stages have is said by the field ``depths``, which stands before this one.
    """

    def __init__(self, registry: Registry[Op]) -> None:
        self.registry = registry

    def make(self, value: object, depths: tuple[int, ...]) -> tuple[tuple[str, Op], ...]:
        """The pairs, in order. Raises pydantic errors whose paths begin with the key."""
        pairs = dict(value) if isinstance(value, Mapping | tuple) and _are_pairs(value) else None
        if pairs is None:
            hint = "{stages.0.blocks.1: NAME key=value}"
            raise wrong(WRONG_VALUE, f"{short(value)} does not say which block has which operator", hint)
        return tuple((self._known(str(key), depths, item), self._one(str(key), item)) for key, item in pairs.items())

    def _known(self, key: str, depths: tuple[int, ...], item: object) -> str:
        found = PATH.fullmatch(key)
        stage, block = (int(found[1]), int(found[2])) if found else (len(depths), 0)
        if stage < len(depths) and block < depths[stage]:
            return key
        blocks = ", ".join(f"stages.{stage}.blocks.0-{depth - 1}" for stage, depth in enumerate(depths))
        error = wrong(COVERAGE, f"there is no block {key}", blocks, key=True)
        raise together(self.registry.kind, under(key, item, error))

    def _one(self, key: str, item: object) -> Op:
        try:
            return self.registry.make(item)
        except (PydanticCustomError, ValidationError) as error:
            raise together(self.registry.kind, under(key, item, error)) from None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        def make(value: object, info: core_schema.ValidationInfo) -> tuple[tuple[str, Op], ...]:
            return self.make(value, info.data.get("depths") or ())

        return core_schema.with_info_plain_validator_function(
            make,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda pairs: {path: operator.typed() for path, operator in pairs}
            ),
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        pattern = r"^stages\.\d{1,3}\.blocks\.\d{1,3}$"
        one = self.registry.json_schema()
        return {"type": "object", "additionalProperties": False, "patternProperties": {pattern: one}}


def _are_pairs(value: Mapping[Any, Any] | tuple[Any, ...]) -> bool:
    return isinstance(value, Mapping) or all(isinstance(pair, tuple) and len(pair) == 2 for pair in value)
