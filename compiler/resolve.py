"""From spec to tree: every default filled, every grid known."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .document import Document
from .errors import Problem, SpecError
from .family import Family
from .grid import Grid
from .layer import Layer
from .operator import Operator
from .parse import Spec, tidy
from .spec import About
from .verify import limits, verify


@dataclass(frozen=True)
class Network:
    """A resolved spec: the tree's root, and the image it is made for."""

    about: About
    family: Family
    document: Document | None = None

    @property
    def name(self) -> str:
        return self.about.name

    @property
    def at(self) -> Grid:
        return self.grid()

    def grid(self, image: int | tuple[int, int] | None = None) -> Grid:
        """The input's shape for an image of that side, or (height, width); the spec's own if None."""
        height, width = sides(image or self.about.image)
        return Grid(height, width, self.family.in_chans)

    def canonical(self) -> dict[str, Any]:
        """Everything that fixes weights and outputs, with nothing left to default."""
        return {**self.family.canonical(), "image": list(sides(self.about.image))}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical form: equal for specs that mean the same network, whatever they are called."""
        return digest_of(self.canonical())


def digest_of(canonical: dict[str, Any]) -> str:
    """SHA-256 of a canonical form, as hexadecimal digits."""
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sides(image: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image given by its side or by both."""
    return (image, image) if isinstance(image, int) else image


def resolve(spec: Spec) -> Network:
    """The network a spec means. Raises SpecError with everything illegal about it, by line and column."""
    at = Network(spec.about, spec.family).at
    if problems := [spec.problem(problem) for problem in [*limits(spec.family), *spec.family.check(at)]]:
        raise SpecError(*tidy(problems))
    network = Network(spec.about, spec.family.settle(0, at), spec.document)
    placed(network)
    return network


def placed(network: Network, image: int | tuple[int, int] | None = None) -> Grid:
    """The input's shape for images of that size, the spec's own if None. Raises SpecError where it is illegal."""
    at = network.grid(image)
    problems = [_located(network, problem, layer) for problem, layer in verify(network.family, at)]
    if problems:
        raise SpecError(*tidy(problems))
    return at


def _located(network: Network, problem: Problem, layer: Layer) -> Problem:
    """The complaint of a layer, with its place in the file where there is one."""
    if network.document is None:
        return problem
    return Spec(network.about, network.family, network.document).problem(problem, _letters(layer))


def _letters(layer: Layer) -> dict[str, str]:
    """The paper's letter of every field of an operator."""
    if not isinstance(layer, Operator):
        return {}
    return {name: field.alias for name, field in type(layer).model_fields.items() if field.alias}
