"""Networks and data so small that a training takes a second, and specs with other lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve

if TYPE_CHECKING:
    from mixspec.zoo.training.data import Data

SPEC = """\
name: small
family: metaformer
image: 8
in_chans: 1
classes: 10
stem: small
depths: [1, 1]
dims: [8, 16]
mixers: identity
head: linear
"""


def changed(text: str, *lines: str) -> str:
    """The spec with these lines, each in the place of that with its key."""
    keys = {line.partition(":")[0] for line in lines}
    kept = [line for line in text.splitlines() if line.partition(":")[0] not in keys]
    return "\n".join([*kept, *lines, ""])


def network(*lines: str) -> Network:
    """The small network with these lines."""
    return resolve(parse(changed(SPEC, *lines)))


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
