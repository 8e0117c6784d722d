"""Every entry of timm's weights fits: repository, licence and preparation as timm has them, tensors as it builds."""

from __future__ import annotations

import pytest
import timm
import torch
from timm.models import get_pretrained_cfg

from mixspec.compiler.lower import lower
from mixspec.zoo import entries
from mixspec.zoo.entries import Entry
from mixspec.zoo.ports import LAYOUTS, layout
from mixspec.zoo.ports._layout import Layout

TIMM = [entry for entry in entries.every() if entry.source.startswith("hf://timm/")]
LARGE = ("_m36", "_b", "_s36", "_s_", "_36", "_24", "large", "base", "small", "l16")


def slow(entry: Entry) -> bool:
    """Whether a smaller network of the same frame is among the others."""
    return any(word in entry.name for word in LARGE) and entry.spec != "mixer_b16"


def test_layouts_are_there() -> None:
    assert all(isinstance(layout(name), Layout) for name in LAYOUTS)
    assert {entry.layout for entry in entries.every() if entry.layout} <= set(LAYOUTS)


@pytest.mark.parametrize("entry", TIMM, ids=lambda entry: entry.name)
def test_what_is_said_is_what_timm_says(entry: Entry) -> None:
    config = get_pretrained_cfg(entry.name)
    assert config is not None and entry.preprocess is not None
    assert entry.source == f"hf://{config.hf_hub_id}/model.safetensors" and entry.licence == config.license
    way = entry.preprocess
    assert (way.mean, way.std) == (config.mean, config.std)
    assert (way.interpolation, way.crop_pct) == (config.interpolation, config.crop_pct)
    network = entry.network()
    assert (network.at.h, network.at.w) == config.input_size[1:] and entry.classes == config.num_classes


@pytest.mark.parametrize(
    "entry",
    [pytest.param(entry, marks=pytest.mark.slow if slow(entry) else ()) for entry in TIMM],
    ids=lambda entry: entry.name,
)
def test_tensors_are_those_timm_builds(entry: Entry) -> None:
    with torch.device("meta"):
        theirs = timm.create_model(entry.name.partition(".")[0]).state_dict()
    assert entry.layout
    like = lower(entry.network(), device="meta").state_dict()
    assert set(layout(entry.layout).ours(theirs, like)) == set(like)
