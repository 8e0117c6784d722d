"""How work in C++ is shared among torch's threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from mixspec.compiler.ops import native


@pytest.fixture(params=["torch's own", "others"])
def three(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three threads, of torch's OpenMP or, as where that is another one, of our own."""
    if request.param == "others":
        monkeypatch.setattr(native, "_openmp", lambda: None)
    elif native._openmp() is None:
        pytest.skip("this torch runs on another OpenMP")
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three")
def test_shares_cover_all_once_and_in_order() -> None:
    assert native.spread(lambda first, last: (first, last), 10) == [(0, 3), (3, 6), (6, 10)]
    assert native.spread(lambda first, last: (first, last), 2) == [(0, 1), (1, 2)]
    assert native.spread(lambda first, last: (first, last), 10, alone=True) == [(0, 10)]


@pytest.mark.usefixtures("three")
def test_shares_run_at_the_same_time() -> None:
    met = threading.Barrier(3, timeout=60)
    assert len(set(native.spread(lambda first, last: (met.wait(), threading.get_ident())[1], 3))) == 3


@pytest.mark.usefixtures("three")
def test_what_goes_wrong_in_a_share_is_raised() -> None:
    def part(first: int, last: int) -> int:
        return 1 // first

    with pytest.raises(ZeroDivisionError):
        native.spread(part, 3)
    assert native.spread(lambda first, last: last, 3) == [1, 2, 3], "and the threads go on"
