import shutil
from pathlib import Path

import pytest
from PIL import Image

from mixspec.compiler.errors import SpecError
from mixspec.zoo.plots import Curves, draw
from mixspec.zoo.training.loop import Trained


def test_curves_are_those_of_the_run(trained: Trained) -> None:
    curves = Curves.of(trained.best.parent)
    assert curves.epochs["val_top1"] == [epoch.val_top1 for epoch in trained.epochs]
    assert curves.moments == [10 / 8]  # one of 16 updates was logged
    assert len(curves.timings["seconds"]) == 2


def test_several_runs_in_one_picture(trained: Trained, tmp_path: Path) -> None:
    assert draw([trained.best.parent, trained.best.parent], tmp_path / "two.png") == 2
    with Image.open(tmp_path / "two.png") as picture:
        pixels = picture.convert("RGB")
        assert pixels.size == (1440, 930)
        assert len(pixels.getcolors(pixels.width * pixels.height) or []) > 50
    draw([trained.best.parent], tmp_path / "one.svg")
    assert "<svg" in (tmp_path / "one.svg").read_text()


def test_a_run_in_its_first_epoch_has_updates_alone(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.best.parent, tmp_path / "run")
    (tmp_path / "run" / "log.csv").unlink()
    assert draw([tmp_path / "run"], tmp_path / "run.png") == 1


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="MX819 no epoch has been logged here"):
        draw([tmp_path], tmp_path / "a.png")
