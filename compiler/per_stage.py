"""One operator for each stage, in every form a spec may write it. All forms mean the same tuple."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

from .complaints import COVERAGE, NOTATION, VALUES, WRONG_VALUE, short, together, under, wrong
from .notation.grammar import Clause, Extent, NotationError
from .notation.printing import show_plan
from .notation.stages import Call, no_operator, per_stage, plan
from .operator import Operator
from .registry import Registry, notation_error, parsed

Op = TypeVar("Op", bound=Operator)
_RANGE = re.compile(r"\s*(\d{1,3})\s*(?:(?:-|–|to)\s*(\d{1,3})\s*)?")


class PerStage(Generic[Op]):
    """A pydantic field type: a tuple with one operator for each stage.

    The number of stages is that of the field ``depths``, which stands before this one. Forms: notation
    (``A in stages 1-2, B``), a list, a mapping by stages (``{1-2: A, 3-4: B}``), one typed form for all stages.
    """

    def __init__(self, registry: Registry[Op]) -> None:
        self.registry = registry

    def make(self, value: object, stages: int) -> tuple[Op, ...]:
        """The operators of all stages. Raises pydantic errors whose paths are ``(stage index, field)``."""
        if isinstance(value, str):
            return self._calls(parsed(value), stages)
        if isinstance(value, Operator):
            value = [value] * stages
        elif isinstance(value, Mapping):
            value = self._typed(value, stages) if "type" in value else self._ranges(value, stages)
        if not isinstance(value, list | tuple):
            raise wrong(
                WRONG_VALUE, f"{self.registry.kind} cannot be {short(value)}", "`A in stages 1-2, B in stages 3-4`"
            )
        if len(value) != stages:
            raise wrong(VALUES, f"{len(value)} {self.registry.kind} for {stages} stages", "one for each stage")
        return self._all(enumerate(value), self.registry.make)

    def _calls(self, clauses: tuple[Clause, ...], stages: int) -> tuple[Op, ...]:
        """The operators of all stages, or every mistake in the notation at once."""
        found = plan(clauses, stages)
        misplaced = [InitErrorDetails(type=notation_error(error), loc=(), input=None) for error in found.errors]
        idle = [one for stage, call in enumerate(found.idle, stages) for one in self._idle(call, stage)]
        calls = [(stage, call) for stage, call in enumerate(found.calls) if stage not in found.filled]
        return self._all(calls, lambda call: self.registry.call(call.name, call.params), (*misplaced, *idle))

    def _idle(self, call: Call, stage: int) -> Iterator[InitErrorDetails]:
        """What is wrong with an operator that no stage is left for, as if it had one behind the last."""
        try:
            self.registry.call(call.name, call.params)
        except PydanticCustomError as error:
            yield _told_at(call.extents[""], error.context or {}, (stage,))
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                said, word = detail["ctx"], str((*detail["loc"], "")[0])
                extent = call.extents.get(f"{word}=" if said.get("key") else word, call.extents[""])
                yield _told_at(extent, said, (stage, *detail["loc"]))

    def spread(self, value: object, stages: int) -> list[Any]:
        """What each stage is told, before it is judged: typed forms and notation. Raises pydantic errors."""
        if isinstance(value, str):
            try:
                calls = per_stage(parsed(value), stages)
            except NotationError as error:
                raise notation_error(error) from None
            return [{"type": call.name, **call.params} for call in calls]
        if isinstance(value, Mapping):
            return self._typed(value, stages) if "type" in value else self._ranges(value, stages)
        return list(value) if isinstance(value, list | tuple) else [value] * stages

    def _all(
        self, items: Iterable[tuple[int, Any]], make: Callable[[Any], Op], before: Iterable[InitErrorDetails] = ()
    ) -> tuple[Op, ...]:
        made: list[Op] = []
        complaints: list[InitErrorDetails] = [*before]
        for stage, item in items:
            try:
                made.append(make(item))
            except (PydanticCustomError, ValidationError) as error:
                complaints += under(stage, item, error)
        if complaints:
            raise together(self.registry.kind, complaints)
        return tuple(made)

    def _typed(self, value: Mapping[str, Any], stages: int) -> list[dict[str, Any]]:
        """A typed form for all stages; a list in it is one value for each stage."""
        for key, field in value.items():
            if isinstance(field, list | tuple) and len(field) != stages:
                what = f"{key} has {len(field)} values for {stages} stages"
                raise self._entry(key, field, wrong(VALUES, what, "one value for each stage"))
        return [
            {key: field[stage] if isinstance(field, list | tuple) else field for key, field in value.items()}
            for stage in range(stages)
        ]

    def _ranges(self, value: Mapping[str, Any], stages: int) -> list[Any]:
        if not any(key.strip()[:1].isdigit() for key in value):
            raise wrong(
                WRONG_VALUE,
                "neither a type nor stages among these keys",
                "{type: NAME, ...} or {1-2: Hpx, 3-4: attention}",
            )
        found: dict[int, Any] = {}
        for key, item in value.items():
            try:
                own = stage_range(key)
            except PydanticCustomError as error:
                raise self._entry(key, item, error) from None
            for stage in own:
                if stage in found or not 1 <= stage <= stages:
                    what = f"stage {stage} is named twice" if stage in found else f"there is no stage {stage}"
                    raise self._entry(key, item, wrong(COVERAGE, what, f"stages 1 to {stages}, each once", key=True))
                found[stage] = item
        if missing := [stage for stage in range(1, stages + 1) if stage not in found]:
            last, hint = list(value)[-1], f"name each of the {stages} stages"
            raise self._entry(last, value[last], wrong(COVERAGE, no_operator(missing), hint, key=True))
        return [found[stage] for stage in range(1, stages + 1)]

    def _entry(self, key: str, item: object, error: PydanticCustomError) -> ValidationError:
        """The complaint as one about the entry of that key."""
        return together(self.registry.kind, under(key, item, error))

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        def make(value: object, info: core_schema.ValidationInfo) -> tuple[Op, ...]:
            return self.make(value, len(info.data.get("depths") or (0, 0, 0, 0)))

        return core_schema.with_info_plain_validator_function(
            make,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda ops: [op.typed() for op in ops]),
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        one = self.registry.json_schema()
        ranges = {"type": "object", "additionalProperties": False, "patternProperties": {_RANGE_KEY: one}}
        return {
            "title": self.registry.kind,
            "description": "one operator for all stages, or one for each: `A in stages 1-2, B in stages 3-4`",
            "anyOf": [
                self.registry.plan_schema(),
                {"type": "array", "items": one},
                ranges,
                *self.registry.typed_schemas(per_stage=True),
            ],
        }


def _told_at(extent: Extent, said: Mapping[str, Any], path: tuple[str | int, ...]) -> InitErrorDetails:
    """The complaint about some characters of the notation."""
    error = PydanticCustomError("problem", "{what}", {**said, "offset": extent[0], "length": extent[1]})
    return InitErrorDetails(type=error, loc=path, input=None)


_RANGE_KEY = r"^\s*\d{1,3}\s*((-|–|to)\s*\d{1,3}\s*)?$"


def stage_range(key: str) -> range:
    """``1-2``, ``1–2``, ``1 to 2`` or ``3`` as stages; anything else raises a pydantic error."""
    match = _RANGE.fullmatch(key)
    if not match or int(match[2] or match[1]) < int(match[1]):
        raise wrong(NOTATION, f"{key!r} names no stages", "keys are stages: {1-2: Hpx, 3-4: attention}", key=True)
    return range(int(match[1]), int(match[2] or match[1]) + 1)


def show(operators: Iterable[Operator]) -> str:
    """The shortest notation for one operator per stage."""
    return show_plan([(operator.notation, operator.told()) for operator in operators])
