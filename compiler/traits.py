"""The inductive biases of a network, stage by stage, and of every mixer there is; in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from .grid import Grid
from .mixer import Mixer, Traits
from .mixers import registry
from .resolve import Network
from .show import outline

REFERENCE = Grid(14, 14, 128)
"""Where mixers stand that stand in no network: a map larger than the usual windows, with channels for a few heads."""

HEADS = ("positions", "reach", "channels", "over positions", "over channels", "weights", "context", "any size")
"""What a row of ``words`` says; the third and fourth are what weights are shared over."""

SPACE = {"point": "own", "sliding": "window", "blocks": "block", "causal": "own and before", "dense": "all"}
CHANNELS = {"separate": "own", "groups": "group", "dense": "all"}
DYNAMIC = {"no": "static", "image": "per image", "position": "per position"}


@dataclass(frozen=True, slots=True)
class Row:
    """A mixer where it stands, with its traits; ``path`` is its stage's."""

    path: str
    mixer: Mixer
    at: Grid
    traits: Traits

    def data(self) -> dict[str, Any]:
        """For other programs: sizes in positions and channels, the fields of ``Traits`` under their names."""
        place = {"path": self.path, "mixer": str(self.mixer), "grid": [self.at.h, self.at.w], "width": self.at.c}
        return {**place, "traits": asdict(self.traits)}


def by_stage(network: Network, at: Grid) -> list[Row]:
    """The mixer of every stage, for images of shape ``at``; none for a network that is no tree of layers."""
    family = network.family
    if not family.mixers:
        return []
    stages = [line.path for line in outline(network, at) if line.depth is not None]
    placed = zip(stages, family.mixers, family.mixer_grids(at), strict=True)
    return [Row(path, mixer, grid, mixer.traits(grid)) for path, mixer, grid in placed]


def every() -> list[Row]:
    """Every mixer of the folder and of other packages, with its defaults."""
    rows = []
    for name in registry:
        mixer = registry[name]().settle(1, REFERENCE)
        rows.append(Row(registry[name].notation, mixer, REFERENCE, mixer.traits(REFERENCE)))
    return rows


def differences(declared: Traits, measured: Traits) -> tuple[str, ...]:
    """The fields in which two differ."""
    names = [field.name for field in fields(Traits)]
    return tuple(name for name in names if getattr(declared, name) != getattr(measured, name))


def words(traits: Traits, c: int) -> tuple[str, ...]:
    """The traits of a mixer on c channels, one text for each of ``HEADS``."""
    return (
        SPACE[traits.space],
        _distance(traits.reach),
        CHANNELS[traits.channels],
        _over_positions(traits),
        _over_channels(traits.channels_per_weight, c),
        DYNAMIC[traits.dynamic],
        "-" if traits.dynamic == "no" else _distance(traits.context),
        "yes" if traits.any_size else "no",
    )


def _distance(reach: int | None) -> str:
    return "map" if reach is None else str(reach)


def _over_positions(traits: Traits) -> str:
    if traits.shared_over_positions:
        return "shared"
    return "own" if traits.kernel_rank is None else f"mixed of {traits.kernel_rank}"


def _over_channels(count: int, c: int) -> str:
    if count == 1:
        return "own"
    return "shared" if count == c else f"heads of {count}"
