"""How the tensors of two sides differ, told from both: what each has alone, and what has another shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from torch import Tensor

LISTED = 8
"""Tensors of one kind that a report names one by one."""

Tensors = Mapping[str, str]
"""What is known of tensors without reading them: ``(24, 1, 3, 3)``, or ``(1,) of integers``, by name."""

PRECISIONS = ("F64", "F32", "F16", "BF16")
"""Types that weights may have, in safetensors' words, as long as all of one file have the same."""


@dataclass(frozen=True)
class Disagreement:
    """Tensors that a network has and a file has not, the reverse, and those whose shapes or types differ."""

    missing: Tensors
    unexpected: Tensors
    misshapen: Mapping[str, tuple[str, str]]
    who: str

    @classmethod
    def between(cls, wanted: Tensors, given: Tensors, who: str) -> Self:
        both = [name for name in wanted if name in given]
        return cls(
            {name: wanted[name] for name in wanted if name not in given},
            {name: given[name] for name in given if name not in wanted},
            {name: (given[name], wanted[name]) for name in both if given[name] != wanted[name]},
            who,
        )

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        counts = f"{len(self.missing)} missing, {len(self.unexpected)} unexpected, {len(self.misshapen)} misshapen"
        return "\n".join(
            [
                counts,
                *listed(f"  missing     {name} {shape}" for name, shape in self.missing.items()),
                *listed(f"  unexpected  {name} {shape}" for name, shape in self.unexpected.items()),
                *listed(
                    f"  misshapen   {name} {self.who} {given}, spec {wanted}"
                    for name, (given, wanted) in self.misshapen.items()
                ),
            ]
        )


def described(state: Mapping[str, Tensor]) -> dict[str, str]:
    """The tensors of a state dict in words."""
    return descriptions({name: (tensor.shape, _type(tensor)) for name, tensor in state.items()})


def descriptions(tensors: Mapping[str, tuple[Iterable[int], str]]) -> dict[str, str]:
    """Shapes in words; types only where they are not the one that all weights have, nor the one of counters."""
    types = Counter(kind for _, kind in tensors.values() if kind in PRECISIONS)
    words = {"I64": " of integers", **{kind: "" for kind, _ in types.most_common(1)}}
    return {name: f"{tuple(shape)}{words.get(kind, f' of {kind}')}" for name, (shape, kind) in tensors.items()}


def listed(lines: Iterable[str]) -> list[str]:
    """The first lines, and how many more there are."""
    every = list(lines)
    return every if len(every) <= LISTED else [*every[:LISTED], f"  ... and {len(every) - LISTED} more"]


def _type(tensor: Tensor) -> str:
    name = str(tensor.dtype).removeprefix("torch.")
    for ours, theirs in (("bfloat", "BF"), ("float", "F"), ("uint", "U"), ("int", "I")):
        name = name.replace(ours, theirs)
    return name.upper()
