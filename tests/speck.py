"""A network and data so small that several processes train on them in a second."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mixspec.compiler.resolve import Network
    from mixspec.zoo.training.data import Data

SPEC = """\
name: speck
family: metaformer
image: 8
in_chans: 1
classes: 10
stem: small
depths: [1, 1]
dims: [8, 8]
mixers: {}
head: linear
"""


def network(mixers: str) -> Network:
    from mixspec.compiler.parse import parse
    from mixspec.compiler.resolve import resolve

    return resolve(parse(SPEC.format(mixers)))


def few_digits(train: int, val: int, test: int) -> Data:
    """So many of each split."""
    from mixspec.zoo.training.data import digits
    from mixspec.zoo.training.data.values import Split

    whole = digits()
    few: Any = {
        name: Split(split.images[:size], split.labels[:size])
        for (name, split), size in zip(whole.splits.items(), (train, val, test), strict=True)
    }
    return replace(whole, splits=few)
