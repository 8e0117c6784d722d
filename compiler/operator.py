"""A layer that a spec can name: typed fields under the paper's letters, printed and parsed as notation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, PositiveInt

from .complaints import WRONG_VALUE, wrong
from .grid import Grid
from .layer import Layer
from .notation.grammar import Scalar
from .notation.printing import show_call

if TYPE_CHECKING:
    from torch import Tensor

    from .bound import Bound


def _odd(value: int) -> int:
    if value % 2 == 0:
        odd = max(value - 1, 1), value + 1
        hint = f"an odd number: {odd[0]} or {odd[1]}"
        raise wrong(WRONG_VALUE, f"{value} is even", hint, nearest=[str(side) for side in odd])
    return value


OddInt = Annotated[PositiveInt, AfterValidator(_odd)]
"""The side of a kernel that has a centre."""


class Operator(BaseModel, Layer):
    """A frozen value with named fields. One class in one file; the file's name is the word in the spec.

    A field's alias is the paper's letter (``b``), its name says what it is (``base_kernels``); both are accepted.
    """

    __slots__ = ("_hashed",)

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, validate_by_name=True, validate_by_alias=True, defer_build=True
    )

    if TYPE_CHECKING:
        _hashed: int

    notation: ClassVar[str]
    """The name as the paper writes it; equal to the file's name but for case."""

    also: ClassVar[tuple[str, ...]] = ()
    """What papers and other libraries call it besides. Not understood, but answered with the notation."""

    def __eq__(self, other: object) -> bool:
        # pydantic's also compares private and extra fields, which operators have not: caches ask this very often
        return self is other or (type(self) is type(other) and self.__dict__ == other.__dict__)

    def __hash__(self) -> int:
        # kept: every memory of mixers, blocks and networks asks for it
        try:
            return self._hashed
        except AttributeError:
            object.__setattr__(self, "_hashed", hash((type(self), *self.__dict__.values())))
            return self._hashed

    def settle(self, stage: int, at: Grid) -> Self:
        """The same operator with every default filled that depends on its stage (from 1) and grid."""
        return self

    def told(self) -> dict[str, Scalar]:
        """The fields that differ from their defaults, under the paper's letters."""
        fields = type(self).model_fields
        given = {field.alias or name: getattr(self, name) for name, field in fields.items()}
        return {
            key: value
            for (key, value), field in zip(given.items(), fields.values(), strict=True)
            if value != field.default
        }

    def typed(self) -> dict[str, Scalar | None]:
        """Every field under its full name, and the operator's type: the canonical form."""
        return {"type": self.notation, **self.model_dump()}

    def settings(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated like the original."""
        return type(self)(**{**dict(self), **changes})

    def forward(self, m: Bound, x: Tensor) -> Tensor:
        return Layer.forward(self, m, x)

    def __str__(self) -> str:
        return show_call(self.notation, self.told())
