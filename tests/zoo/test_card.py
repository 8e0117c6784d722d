"""Model cards say what the specs say: those in the repository are rendered again and compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixspec.cli import app
from mixspec.cli.card import rendered
from mixspec.compiler.catalogue import load
from mixspec.compiler.resolve import resolve
from mixspec.zoo import entries
from mixspec.zoo.card import card
from mixspec.zoo.training.loop import Trained
from mixspec.zoo.weights import header

CARDS = sorted((Path(__file__).parents[2] / "model_cards").glob("*.md"))


def test_there_are_cards() -> None:
    assert len(CARDS) >= 10


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_card_is_current(path: Path) -> None:
    assert path.read_text("utf-8") == rendered(path.stem)[0], "run mixspec card NAME --output model_cards"


def test_weights_that_ship_have_a_card() -> None:
    assert {entry.name for entry in entries.every() if entry.shipped} <= {path.stem for path in CARDS}


def test_card_of_weights_of_one_s_own(trained: Trained) -> None:
    held = header(trained.best)
    text = card(held.network, held)
    for part in (
        "## Training",
        "Recipe: quick",
        "`lr` | 0.005",
        "## Results",
        "As the weights' file says",
        "| val_top1 |",
    ):
        assert part in text
    assert "no weights are published" not in text and "## File" not in text


def test_card_carries_exact_and_printed_figures() -> None:
    text = card(resolve(load("resnet50d_cadasp_k9_b128")))
    for figure in ("21,071,476", "5,074,615,808", "21.10M", "5.12G", "ptflops-san", "5,117,759,328", "81.45"):
        assert figure in text
    assert text.startswith("---\nlicense: apache-2.0\n")


def test_command_prints_or_writes(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["card", "digits_resnet_conv"])
    assert printed.exit_code == 0 and "# digits_resnet_conv" in printed.stdout
    written = CliRunner().invoke(app, ["card", "digits_resnet_conv", "--output", str(tmp_path)])
    assert written.exit_code == 0
    assert (tmp_path / "digits_resnet_conv.md").read_text("utf-8") == printed.stdout
