"""Streams are shuffled by seed and epoch, shared by processes, and go on from any place."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader

from mixspec.compiler.recipe import Recipe
from mixspec.zoo.training.data import Data, as_is
from mixspec.zoo.training.order import Order

from .written import INPUTS

RECIPE = Recipe(name="a", epochs=1, batch_size=4, lr=1e-3, scale=(0.5, 1.0), reprob=1.0)


@pytest.mark.parametrize("kind", ["hfids", "wds"])
def test_a_stream_follows_seed_and_epoch_and_goes_on(kind: str, made: Callable[[str], Data]) -> None:
    split = made(kind).splits["train"]
    samples = split.samples(INPUTS, RECIPE, seed=3)
    first = list(samples.keys(0))  # type: ignore[attr-defined]
    assert [key.index for key in first] == [key.index for key in split.samples(INPUTS, RECIPE, seed=3).keys(0)]  # type: ignore[attr-defined]
    assert sorted(key.index for key in first) == sorted(key.index for key in samples.keys(1))  # type: ignore[attr-defined]
    assert [key.index for key in first] != [key.index for key in samples.keys(1)]  # type: ignore[attr-defined]
    assert [key.index for key in first] != sorted(key.index for key in first)
    for rank in (0, 1):  # from the middle on, as the whole
        rest = samples.keys(0, 5, rank, 2)  # type: ignore[attr-defined]
        assert [key.index for key in rest] == [key.index for key in first[rank::2]][5:]
    wanted = samples.__getitems__(first)
    parts = [first[start : start + 7] for start in range(0, 30, 7)]
    loaded = DataLoader(samples, batch_sampler=parts, collate_fn=as_is, num_workers=2)  # type: ignore[arg-type]
    assert torch.equal(torch.cat([batch.images for batch in loaded]), wanted.images)
    again = samples.__getitems__(list(islice(samples.keys(1), 30)))  # type: ignore[attr-defined]
    place = {int(index): at for at, index in enumerate(again.indices)}
    assert any(not torch.equal(again.images[place[int(i)]], image)
               for i, image in zip(wanted.indices, wanted.images, strict=True))  # fmt: skip


@pytest.mark.parametrize("kind", ["hfids", "wds"])
def test_training_shares_a_stream_as_it_shares_images(kind: str, made: Callable[[str], Data]) -> None:
    """Two processes read what one reads in two parts; an epoch goes on from any update, and begins anew at its end."""
    samples = made(kind).splits["train"].samples(INPUTS, RECIPE, seed=1)
    one, two = Order(30, 8, 2, 1, 1), Order(30, 8, 1, 2, 1)
    alone = [[key.index for key in slot] for slot in one.streamed(samples, 0, 0)]  # type: ignore[arg-type]
    both = [[[key.index for key in slot] for slot in two.streamed(samples, 0, rank)] for rank in (0, 1)]  # type: ignore[arg-type]
    assert alone == [slot for pair in zip(*both, strict=True) for slot in pair]
    assert len(alone) == 6 and len({index for slot in alone for index in slot}) == 24
    late = [[key.index for key in slot] for slot in one.streamed(samples, 0, 0, 2)]  # type: ignore[arg-type]
    assert late == alone[4:]
    longer = [key.index for slot in Order(32, 8, 1, 1, 1).streamed(samples, 0, 0) for key in slot]  # type: ignore[arg-type]
    assert longer[30:] == longer[:2] and len(set(longer)) == 30
