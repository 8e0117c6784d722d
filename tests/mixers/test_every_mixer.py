"""What holds for every token mixer. The folder is walked, so a new file is tested without an edit here.

The checks are those of `mixspec conform`; traits have tests of their own, with more variants.
"""

from __future__ import annotations

import pytest

from mixspec.compiler.mixers import registry
from mixspec.zoo.conform.check import title
from mixspec.zoo.conform.mixers import CHECKS, Kind, traits_are_what_is_measured


@pytest.mark.parametrize("name", sorted(registry))
@pytest.mark.parametrize("check", [check for check in CHECKS if check is not traits_are_what_is_measured], ids=title)
def test_mixer(name: str, check: object) -> None:
    kind: Kind = registry[name]
    assert callable(check)
    complaints = list(check(kind))
    assert not complaints, "\n".join(complaints)
