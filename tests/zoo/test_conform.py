"""timm's model contract holds for every spec, and the checks that say so can fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from typer.testing import CliRunner

from mixspec.cli import app
from mixspec.compiler import catalogue
from mixspec.compiler.backbone import Backbone
from mixspec.compiler.bound import Bound
from mixspec.compiler.families import registry as families
from mixspec.compiler.grid import Grid
from mixspec.compiler.layer import Parts
from mixspec.compiler.mixer import Mixer, Traits
from mixspec.compiler.mixers import registry
from mixspec.compiler.parts import Conv, Weight
from mixspec.zoo.conform import mixers, networks
from mixspec.zoo.conform.check import Result, run

# one of every family, and what is unlike others
SAMPLE = (
    "convnext_t",
    "atc13",
    "ensemble_hpx_conv",
    "deit_ti",
    "resmlp_12",
    "hpxaformer_s18",
    "resnet50d_cadasp_k9_b128",
    "resnet50e_ideal",
    "resnet20_gabor",
    "san19",
    "swin_t",
    "vgg16_cifar10",
)


def red(results: Iterator[Result]) -> dict[str, str]:
    return {result.name: "; ".join(result.complaints) for result in results if not result.green}


def results(name: str) -> Iterator[Result]:
    return run(networks.CHECKS, networks.Subject(networks.reduced(catalogue.load(name))))


@pytest.mark.parametrize("name", SAMPLE)
def test_sample_keeps_the_contract(name: str) -> None:
    assert red(results(name)) == {}


def test_sample_has_every_family() -> None:
    assert {catalogue.load(name).family.notation for name in SAMPLE} | {"timm"} == set(families)


@pytest.mark.slow
@pytest.mark.parametrize("name", catalogue.names())
def test_every_spec_keeps_the_contract(name: str) -> None:
    assert red(results(name)) == {}


def test_reduced_networks_are_small_and_of_the_same_kind() -> None:
    small = networks.reduced(catalogue.load("resnet50d_cadasp_k9_b128"))
    assert small.family.depths == (1, 1, 1, 1) and small.about.image == 64 and small.family.classes == 7
    assert small.family.mixers[0].notation == "CADAsp"
    assert networks.reduced(catalogue.load("deit_ti")).family.depths == (4,)


LIES = {
    "forward gives logits": ("forward", lambda self, x: torch.full((len(x), 7), torch.nan)),
    "forward is features then head": ("forward", lambda self, x: torch.zeros(len(x), 7)),
    "classifier is reset": ("reset_classifier", lambda self, num_classes, global_pool=None: None),
    "layer decay covers every weight": ("no_weight_decay", lambda self: {"nothing"}),
    "pruning leaves no unused weight": (
        "prune_intermediate_layers",
        lambda self, indices=1, prune_norm=False, prune_head=True: [0],
    ),
}


@pytest.mark.parametrize("check", LIES)
def test_a_model_that_breaks_the_contract_is_red(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method, lie = LIES[check]
    monkeypatch.setattr(Backbone, method, lie)
    wanted = [one for one in networks.CHECKS if one.__name__ == check.replace(" ", "_")]
    subject = networks.Subject(networks.reduced(catalogue.load("digits_pooling")))
    assert check in red(run(wanted, subject))


def test_wrong_levels_are_red() -> None:
    subject = networks.Subject(networks.reduced(catalogue.load("digits_pooling")))
    subject.model.feature_info[1]["num_chs"] += 1
    subject.model.feature_info[0]["reduction"] = 64
    assert "levels are what feature info says" in red(run([networks.levels_are_what_feature_info_says], subject))


class Broken(Mixer):
    """Says little of what it does."""

    notation = "Broken"
    cannot: ClassVar = {"compile": "it is told so"}

    def traits(self, at: Grid) -> Traits:
        return Traits("point", "separate")

    def parts(self, at: Grid) -> Parts:
        return {"conv": Conv(at.c, at.c, 3), "unused": Weight((at.c,))}

    def forward(self, m: Bound, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.conv2d(m.conv(x), m.conv.weight, padding=1).float()


def test_a_mixer_that_breaks_its_promises_is_red() -> None:
    found = red(run(mixers.CHECKS, Broken))
    assert "multiply-adds" in found["counts are what torch counts"]
    assert "unused gets no gradient" in found["every weight learns"]
    assert "Broken lies in" in found["is described"]
    assert {"layout and precision do not matter", "traits are what is measured"} <= set(found)
    assert not {"compiles in one graph", "settling twice changes nothing"} & set(found)


def test_command(monkeypatch: pytest.MonkeyPatch) -> None:
    done = CliRunner().invoke(app, ["conform", "pooling", "--json"])
    assert done.exit_code == 0 and all(one["green"] for one in json.loads(done.stdout)), done.output
    done = CliRunner().invoke(app, ["conform", "digits_pooling", "--reduced"])
    assert done.exit_code == 0 and f"{len(networks.CHECKS)} of {len(networks.CHECKS)} checks are green" in done.output
    monkeypatch.setattr(Backbone, "forward", lambda self, x: torch.zeros(len(x), 7))
    done = CliRunner().invoke(app, ["conform", "digits_pooling", "--reduced"])
    assert done.exit_code == 1 and "hint: Let forward call the two." in done.output, done.output
    for words, code, complaint in (
        (["nonsense"], 1, "MX001"),
        (["pooling", "--reduced"], 2, "a mixer is small already"),
        ([str(Path("no") / "such.yaml")], 1, "no such file"),
    ):
        done = CliRunner().invoke(app, ["conform", *words])
        assert done.exit_code == code and complaint in done.output, done.output


def test_every_mixer_of_the_folder_has_defaults_that_run() -> None:
    assert all(mixers.default(registry[name]) for name in registry)
