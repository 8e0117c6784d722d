"""The weights that ship are what their entries and cards say, on a fresh machine and without a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import mixspec
from mixspec.cli import app
from mixspec.compiler import recipe as recipes
from mixspec.zoo import entries, make
from mixspec.zoo.classifier import Classifier
from mixspec.zoo.entries import Entry, Run, typed
from mixspec.zoo.load import network
from mixspec.zoo.training.data import open_data
from mixspec.zoo.verify import LOSS, failed, verify

SHIPPED = [entry for entry in entries.every() if entry.shipped]
FLOOR = {"digits_identity": 90.0, "digits_pooling": 90.0}
"""Accuracies that are not those of a network with a mixer that sees, percent."""
run = CliRunner().invoke


def test_a_dozen_networks_of_one_frame_ship() -> None:
    assert len(SHIPPED) >= 12
    frames = {(n.family.notation, n.family.depths, tuple(n.family.dims)) for n in (e.network() for e in SHIPPED)}  # type: ignore[attr-defined]
    assert frames == {("metaformer", (1, 1, 1), (16, 32, 48))}
    assert sum(entry.size or 0 for entry in SHIPPED) < 8_000_000


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.name)
def test_weights_are_as_good_as_said(entry: Entry) -> None:
    data = open_data("digits")
    classifier = Classifier.open(entry.file, data)
    assert classifier.header.network.digest == entry.network().digest
    seen = classifier.evaluate(data.splits["test"])
    assert seen.top1 == entry.runs[0].test_top1 >= FLOOR.get(entry.name, 95.0)
    assert abs(seen.loss - entry.runs[0].test_loss) < LOSS
    assert len(entry.runs) >= 3 and len({one.seed for one in entry.runs}) == len(entry.runs)


def test_every_figure_is_worked_out_again() -> None:
    done = run(app, ["verify", "digits_dw", "--json"])
    checks = json.loads(done.stdout)["digits_dw"]
    assert done.exit_code == 0 and all(check["right"] and check["found"] is not None for check in checks)
    what = " ".join(check["what"] for check in checks)
    for part in ("sha256", "parameters", "MACs", "traits of stages.2", "recipe", "loss", "deviation", "card"):
        assert part in what


def test_wrong_figures_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    known = entries.of("digits_dw")
    first = known.runs[0].model_copy(update={"test_top1": 50.0, "test_loss": 9.0})
    lies = known.model_copy(update={"runs": (first, *known.runs[1:]), "size": 1})
    wrong = " ".join(check.what for check in failed(verify(lies)))
    for part in ("size", "top-1 on the test", "loss on the test", "top-1 of the entry", "the card"):
        assert part in wrong
    monkeypatch.setattr(entries, "of", lambda name: lies)
    done = run(app, ["verify", "digits_dw"])
    assert done.exit_code == 1 and "WRONG" in done.stdout


@pytest.mark.slow
def test_seeds_trained_again_are_as_good() -> None:
    checks = verify(entries.of("digits_identity"), retrain=True)
    assert not failed(checks)
    assert len([check for check in checks if "trained again" in check.what]) == 3


@pytest.mark.parametrize("arguments", [[], ["digits_dw", "--all"], ["nosuch"]])
def test_verify_is_told_what(arguments: list[str]) -> None:
    assert run(app, ["verify", *arguments]).exit_code == (1 if arguments == ["nosuch"] else 2)


def test_a_name_is_enough_to_predict() -> None:
    done = run(app, ["predict", "digits_dw", "--data", "digits", "--index", "0,1", "--json"])
    first, second = json.loads(done.stdout)
    assert first["top"][0]["class"] == first["label"] and second["top"][0]["class"] == second["label"]
    model = mixspec.build("digits_dw", pretrained=True)
    assert torch.equal(model.stem.conv.weight, mixspec.load(entries.of("digits_dw").file).stem.conv.weight)


def test_an_entry_that_was_made_reads_back(tmp_path: Path) -> None:
    net, recipe = network("digits_dw"), recipes.read("digits")
    runs = [Run(seed=seed, epoch=3, val_top1=99.0, test_top1=98.0 + seed, test_loss=0.1) for seed in range(3)]
    made = make.described(net, recipe, entries.of("digits_dw").file, runs)
    assert typed(mixspec.compiler.document.load(make.text(made))) == made
    assert made.spread() == (99.0, 1.0)


def test_making_one_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seeds, one short training each, into folders of its own."""
    for name in ("WEIGHTS", "FOLDER", "CARDS"):
        monkeypatch.setattr(make, name, tmp_path / name)
        (tmp_path / name).mkdir()
    monkeypatch.setattr(entries, "WEIGHTS", tmp_path / "WEIGHTS")
    monkeypatch.setattr(make, "SEEDS", (4, 5))
    short = recipes.read("digits").lasting(1)
    monkeypatch.setattr(recipes, "read", lambda name: short)
    entry = make.make("digits_identity", tmp_path / "runs")
    assert [one.seed for one in entry.runs] == [4, 5]
    assert typed(mixspec.compiler.document.read(tmp_path / "FOLDER" / "digits_identity.yaml")) == entry
    card = (tmp_path / "CARDS" / "digits_identity.md").read_text("utf-8")
    for part in ("## Training", "Seeds: 4, 5", "## Results", "## Intended use", "## Limits", "sha256", "`epochs` | 1"):
        assert part in card
    assert Classifier.open(entry.file).classes == tuple("0123456789")
    shutil.rmtree(tmp_path / "WEIGHTS")
