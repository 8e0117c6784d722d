from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixspec.cli import app
from mixspec.compiler.recipe import Recipe
from mixspec.zoo import demo
from mixspec.zoo.training.data import Split, digits
from mixspec.zoo.training.loop import OURS

run = CliRunner().invoke


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demonstration with one epoch of a few images."""
    quick = Recipe(name="quick", epochs=1, batch_size=64, lr=1e-3)
    whole = digits()
    few = {name: Split(split.images[:64], split.labels[:64]) for name, split in whole.splits.items()}
    monkeypatch.setattr(demo.recipes, "read", lambda name: quick)
    monkeypatch.setattr(demo, "digits", lambda: replace(whole, splits=few))


def test_demo_shows_everything_and_fails_below_its_goal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(app, ["demo", "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert "fewer than the 97 % it should reach" in result.stderr
    for said in ("CADAsp Ch=8", "Hpx K=31", "attention", "The first test images:", "best.safetensors was best", "said"):
        assert said in result.stdout
    files = {*OURS} - {"tensorboard"} | {"run.lock", "kernels.png"}
    assert {entry.name for entry in tmp_path.iterdir()} == files
    monkeypatch.setattr(demo, "GOAL", 0.0)
    again = run(app, ["demo", "--output", str(tmp_path)])
    assert again.exit_code == 0
    assert " % of the test images right, in " in again.stdout.splitlines()[-1]
    assert {entry.name for entry in tmp_path.iterdir()} == files
