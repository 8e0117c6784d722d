"""timm's and torchvision's networks with the same weights give the same outputs, features and gradients."""

from __future__ import annotations

import re
from pathlib import Path

import deviation
import pytest
import recordings
import torch
import twins

QUICK = ("convformer_s18", "caformer_s18", "poolformerv2_s12", "swin_tiny_patch4_window7_224", "resnet50", "resnet50d")


@pytest.mark.parametrize("name", twins.TINY)
def test_small_network(name: str) -> None:
    assert not deviation.beyond("tiny", name, twins.twin_errors(twins.TINY[name]))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in twins.WHOLE]
)
def test_whole_network(name: str) -> None:
    errors = twins.twin_errors(twins.WHOLE[name])
    assert errors.keys() == {"output", "features", "input gradient", "weight gradients"}
    assert not deviation.beyond("whole", name, errors)


def test_the_report_tells_of_every_comparison() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "parity.md").read_text("utf-8")
    named = re.findall(r"^\| `(.+?)` \|", page, flags=re.M)
    assert sorted(named) == sorted([*recordings.OPERATORS, "cvt", *recordings.LOCALVIT, *twins.TWINS])


def test_a_wrong_weight_is_noticed() -> None:
    theirs, ours = twins.pair(twins.TINY["resmlp"])
    x = torch.randn(1, 3, 24, 32, dtype=torch.float64)
    with torch.no_grad():
        assert deviation.relative(ours(x), theirs(x)) < 1e-12
        ours.stages[0].blocks[1].mixer.fc.bias[0] += 1e-6
        assert deviation.relative(ours(x), theirs(x)) > 1e-12
