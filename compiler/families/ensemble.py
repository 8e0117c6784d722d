"""Networks that vote: the mean of their logits. As in HyenaPixel, arXiv:2402.19305, Table 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from ..complaints import MISSING_KEY, WRONG_VALUE, together, under, wrong
from ..errors import Problem
from ..family import Family
from ..grid import Grid
from ..layer import Layer, Parts
from ..mixer import Mixer
from . import registry as known_families

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..bound import Bound
    from ..layer import Modules

SHARED = ("in_chans", "classes")
"""Keys of the ensemble that hold for every member."""

OWN = ("drop_path", "head_dropout")
"""Keys that each member has to itself."""


def _member(value: object) -> Family:
    if isinstance(value, Family):
        return value
    if not isinstance(value, Mapping):
        raise wrong(WRONG_VALUE, "a member is a mapping", "{family: metaformer, size: s18, mixers: Hpx}")
    if not isinstance(value.get("family"), str):
        raise wrong(MISSING_KEY, "family is missing", "the member's frame: metaformer, resnet, ...")
    try:
        known_families.find(value["family"])
    except PydanticCustomError as error:
        raise together("ensemble", under("family", value["family"], error)) from None
    return known_families.call(value["family"], {key: item for key, item in value.items() if key != "family"})


def _told(member: Family) -> dict[str, Any]:
    """The member's canonical form without what the ensemble says for all."""
    return {key: value for key, value in member.canonical().items() if key not in SHARED}


_JSON = {"type": "object", "properties": {"family": {"type": "string"}}, "required": ["family"]}
Member = Annotated[Family, BeforeValidator(_member), PlainSerializer(_told), WithJsonSchema(_JSON)]


def _several(members: tuple[Family, ...]) -> tuple[Family, ...]:
    if len(members) < 2:
        what = f"{len(members)} member{'s' * (len(members) != 1)} cannot vote"
        raise wrong(WRONG_VALUE, what, "two networks or more")
    return members


class Ensemble(Family):
    """The mean of the logits of independent networks, each written out like a spec of its own."""

    notation = "ensemble"

    members: Annotated[tuple[Member, ...], AfterValidator(_several)] = Field(
        description="the networks, two or more: the architecture keys of a spec each"
    )

    @property  # type: ignore[misc]
    def depths(self) -> tuple[int, ...]:
        """Blocks of every stage of every member."""
        return tuple(depth for member in self.members for depth in member.depths)

    @property  # type: ignore[misc]
    def mixers(self) -> tuple[Mixer, ...]:
        """The mixer of every stage of every member."""
        return tuple(mixer for member in self.members for mixer in member.mixers)

    def mixer_grids(self, at: Grid) -> tuple[Grid, ...]:
        return tuple(grid for member in self.voters() for grid in member.mixer_grids(at))

    def voters(self) -> tuple[Family, ...]:
        """The members, for the images and classes of the ensemble."""
        shared = {key: getattr(self, key) for key in SHARED}
        return tuple(member.model_copy(update=shared) for member in self.members)

    def settle(self, stage: int, at: Grid) -> Self:
        return self.model_copy(update={"members": tuple(member.settle(stage, at) for member in self.members)})

    def check(self, at: Grid) -> Iterator[Problem]:
        for key in OWN:
            if getattr(self, key):
                yield Problem("MX101", f"{key} is no key of an ensemble", "give it to the members", (key,))
        if not self.classes:
            yield Problem("MX102", "an ensemble votes on classes", "one or more", ("classes",))
        for index, member in enumerate(self.members):
            for key in SHARED:
                if key in member.model_fields_set and getattr(member, key) != getattr(self, key):
                    what = f"{key} is {getattr(member, key)} for a member and {getattr(self, key)} for the ensemble"
                    yield Problem("MX204", what, "leave it to the ensemble", ("members", index, key))
            for problem in member.check(at):
                yield problem.under("members", index)

    def out(self, at: Grid) -> Grid:
        return self.voters()[0].out(at)

    def parts(self, at: Grid) -> Parts:
        return {"members": Voters(self.voters())}

    def module(self, at: Grid, children: Modules) -> nn.Module:
        from ..ensemble import Ensemble as Module

        return Module(self, at, children)


@dataclass(frozen=True, slots=True)
class Voters(Layer):
    """Networks side by side, named 0, 1, 2, ...: the mean of what they say."""

    networks: tuple[Family, ...]

    def out(self, at: Grid) -> Grid:
        return self.networks[0].out(at)

    def parts(self, at: Grid) -> Parts:
        return {str(index): network for index, network in enumerate(self.networks)}

    def tally(self, at: Grid) -> Mapping[str, int]:
        return {"add": (len(self.networks) - 1) * self.out(at).size}

    def forward(self, m: Bound, x: Tensor) -> Any:
        import torch

        return torch.stack([network(x) for network in m.children()]).mean(0)
