"""Frozen values of pydantic: changed with validation, wrong values as complaints of ours."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from .complaints import reword, together
from .errors import Problem, SpecError

Model = TypeVar("Model", bound=BaseModel)


def changed(value: Model, **changes: Any) -> Model:
    """A copy with some fields changed; None leaves a field as it is. Raises SpecError."""
    wanted = {name: change for name, change in changes.items() if change is not None}
    if not wanted:
        return value
    try:
        return type(value).model_validate({**dict(value), **wanted})
    except ValidationError as error:
        raise SpecError(*problems(error, type(value))) from None


def problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """What pydantic found wrong with the fields of ``model``."""
    findings = together(model.__name__, reword(error, model)).errors(include_url=False)
    return [
        Problem(said["code"], said["what"], said["hint"], found["loc"], nearest=tuple(said.get("nearest", ())))
        for found in findings
        for said in (found["ctx"],)
    ]
