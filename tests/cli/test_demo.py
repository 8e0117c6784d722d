from pathlib import Path

import pytest
from typer.testing import CliRunner

from mixspec.cli import app
from mixspec.zoo import demo
from mixspec.zoo.training.recipe import Recipe

run = CliRunner().invoke


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demonstration with a recipe of one epoch."""
    quick = Recipe(name="quick", epochs=1, batch_size=256, lr=1e-3)
    monkeypatch.setattr(demo.recipes, "read", lambda name: quick)


@pytest.mark.usefixtures("short")
def test_demo_shows_everything_and_fails_below_its_goal(tmp_path: Path) -> None:
    for _ in range(2):  # it may be repeated in the same folder
        result = run(app, ["demo", "--output", str(tmp_path)])
        assert result.exit_code == 1
        assert "fewer than the 97 % it should reach" in result.stderr
    for said in ("CADAsp Ch=8", "Hpx K=31", "attention", "The first test images:", "best.safetensors was best", "said"):
        assert said in result.stdout
    assert {entry.name for entry in tmp_path.iterdir()} == {
        "best.safetensors",
        "last.safetensors",
        "log.csv",
        "kernels.png",
    }


@pytest.mark.usefixtures("short")
def test_demo_succeeds_at_its_goal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "GOAL", 0.0)
    result = run(app, ["demo", "--output", str(tmp_path)])
    assert result.exit_code == 0
    assert " % of the test images right, in " in result.stdout.splitlines()[-1]
