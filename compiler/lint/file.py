"""One file as the rules see it: its text, its document, and the network it means as far as there is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count as count_from

from ..cost import count
from ..document import Document
from ..errors import Path, Problem, Span
from ..grid import Cost, Grid
from ..layer import Parts
from ..mixer import Mixer
from ..notation.grammar import Extent
from ..positions import locate
from ..resolve import Network
from ..spec import About
from .config import Config
from .judge import Judged
from .reading import Reading
from .strides import strides


@dataclass(frozen=True)
class File:
    """A spec under judgement. ``document`` and ``network`` are None where the file is too broken for them."""

    reading: Reading
    judged: Judged
    config: Config
    taken: Mapping[str, str]
    """The run's other files by the names of their models."""

    @property
    def source(self) -> str:
        return self.reading.source

    @property
    def text(self) -> str:
        return self.reading.text

    @property
    def document(self) -> Document | None:
        return self.reading.document

    @property
    def network(self) -> Network | None:
        return self.judged.network

    @property
    def name(self) -> str | None:
        """What the document calls itself, where it could be understood."""
        return self.judged.name

    @property
    def about(self) -> About | None:
        return self.judged.spec.about if self.judged.spec else None

    @cached_property
    def parts(self) -> Parts:
        """Of the network at its own image size; none where there is no network, or only torch knows them."""
        return self.network.family.parts(self.network.at) if self.network else {}

    @cached_property
    def cost(self) -> Cost | None:
        """Of the network at its own image size; None where nothing is known without torch."""
        return count(self.network) if self.network and self.parts else None

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """The stride of every stage's output against the image."""
        return strides(self.network.family, self.network.at, self.parts) if self.network and self.parts else ()

    @cached_property
    def mixers(self) -> list[tuple[int, Mixer, Grid]]:
        """Every stage, counted from 0, with its mixer and where that stands."""
        if self.network is None:
            return []
        family = self.network.family
        mixers: tuple[Mixer, ...] = getattr(family, "mixers", ())
        return [*zip(count_from(), mixers, family.grids(self.network.at), strict=False)] if mixers else []

    @cached_property
    def stages(self) -> int:
        return len(self.judged.spec.family.depths) if self.judged.spec else 4

    def has(self, path: Path) -> bool:
        """Whether the document says something at that place."""
        return self.document is not None and path in self.document.spans

    def span(self, path: Path, *, key: bool = False, extent: Extent | None = None) -> Span:
        """The place of a value, of its key, or of some characters in it."""
        if self.document is None:
            return Span(1, 1, 1, 1)
        return locate(self.document, path, stages=self.stages, key=key, extent=extent)

    def problem(self, code: str, what: str, hint: str, path: Path, *, key: bool = False, trail: str = "") -> Problem:
        """A complaint about the value at ``path``, or about its key."""
        return Problem(code, what, hint, path, self.span(path, key=key), self.source, trail)

    def at(self, problem: Problem) -> Problem:
        """The complaint with the place its path has in the file."""
        return replace(problem, span=self.span(problem.where), source=self.source)
