"""Model cards say what the specs say: those in the repository are rendered again and compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixspec.cli import app
from mixspec.compiler.catalogue import load
from mixspec.compiler.resolve import resolve
from mixspec.zoo.card import card

CARDS = sorted((Path(__file__).parents[2] / "model_cards").glob("*.md"))


def test_there_are_cards() -> None:
    assert len(CARDS) >= 10


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_card_is_current(path: Path) -> None:
    assert path.read_text("utf-8") == card(resolve(load(path.stem))), "run mixspec card NAME --output model_cards"


def test_card_carries_exact_and_printed_figures() -> None:
    text = card(resolve(load("resnet50d_cadasp_k9_b128")))
    for figure in ("21,071,476", "5,074,615,808", "21.10M", "5.12G", "ptflops-san", "5,117,759,328", "81.45"):
        assert figure in text
    assert text.startswith("---\nlicense: apache-2.0\n")


def test_command_prints_or_writes(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["card", "digits_dw"])
    assert printed.exit_code == 0 and "# digits_dw" in printed.stdout
    written = CliRunner().invoke(app, ["card", "digits_dw", "--output", str(tmp_path)])
    assert written.exit_code == 0
    assert (tmp_path / "digits_dw.md").read_text("utf-8") == printed.stdout
