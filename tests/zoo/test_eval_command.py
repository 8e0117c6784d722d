"""eval and predict as one types them: on folders, on two processes, and into pictures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from commands import ended
from PIL import Image

from mixspec.zoo.training.data import open_data
from mixspec.zoo.training.loop import Trained


@pytest.mark.slow
def test_two_processes_answer_as_one(trained: Trained, tmp_path: Path) -> None:
    """`mixspec eval` under `torchrun`, on two processes of this machine, a part file included."""
    alone = json.loads(ended("eval", str(trained.best), "--json").stdout)
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    mixspec = ["--no-python", str(Path(sys.executable).with_name("mixspec"))]
    command = [*launch, *mixspec, "eval", str(trained.best), "--json", "--resume", str(tmp_path / "part")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=300)
        assert json.loads(done.stdout) == alone
    assert {path.name for path in tmp_path.iterdir()} == {"part", "part.1"}


def test_eval_as_one_types_it(trained: Trained, tmp_path: Path) -> None:
    weights, picture = str(trained.best), str(tmp_path / "c.svg")
    said = ended("eval", weights, "--confusion", picture, "--split", "val")
    assert said.exit_code == 0 and "Wilson 95 %" in said.stdout and "taken for" in said.stdout
    assert Path(picture).read_text().startswith("<?xml")
    both = json.loads(ended("eval", weights, weights, "--json", "--ensemble", "logits").stdout)
    one = json.loads(ended("eval", weights, "--json").stdout)
    assert both["weights"] == [weights, weights] and both["ensemble"] == "logits" and "ensemble" not in one
    assert both["top1"] == one["top1"] and both["confusion"] == one["confusion"]
    assert sum(pair["images"] for pair in one["confused"]) <= 300 - sum(
        row[i] for i, row in enumerate(one["confusion"])
    )
    wrong = ended("eval", weights, weights, "--images", "8")
    assert wrong.exit_code == 2 and "one" in wrong.stderr


def test_a_picture_of_another_kind_is_refused_before_anything_is_evaluated() -> None:
    wrong = ended("eval", "not_there.safetensors", "--confusion", "c.gif")
    assert wrong.exit_code == 2 and "is no picture" in wrong.stderr


def digits_folder(root: Path, classes: Sequence[int]) -> Path:
    """Ten digits of some classes as a folder."""
    part = open_data("digits").splits["test"]
    images, labels = part.read(range(len(part)))  # type: ignore[attr-defined]
    for label in classes:
        (root / str(label)).mkdir(parents=True)
        for at, image in enumerate(images[labels == label][:3]):
            Image.fromarray((image[0] * 255).round().byte().numpy()).save(root / str(label) / f"{at}.png")
    return root


def test_folders_of_some_or_other_classes(trained: Trained, tmp_path: Path) -> None:
    weights, few = str(trained.best), digits_folder(tmp_path / "few", (3, 8))
    (few / "8" / "x.png").write_bytes(b"text")
    said = ended("eval", weights, "--data", f"{few}?val=0")
    assert said.exit_code == 0 and "6 images" in said.stdout
    assert "1 bad image left out: 8/x.png (no image)" in said.stderr
    assert "the data has no class 0, 1, 2, 4, 5, 6, 7, 9" in said.stderr
    (tmp_path / "other" / "cat").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "other" / "cat" / "a.png")
    wrong = ended("eval", weights, "--data", f"{tmp_path / 'other'}?val=0")
    assert wrong.exit_code == 1 and "it does not know cat (it knows 0, 1, 2, 3, 4 and 5 more)" in wrong.stderr
    assert len(wrong.stderr.strip().splitlines()) == 1


def test_predict_takes_folders_and_addresses_and_names_bad_files(trained: Trained, tmp_path: Path) -> None:
    weights, folder = str(trained.best), digits_folder(tmp_path / "a b", (3,))
    (folder / "3" / "x.jpg").write_bytes(b"")
    said = ended("predict", weights, str(folder), "--top", "2")
    assert said.exit_code == 0 and len(said.stdout.splitlines()) == 4 and said.stdout.split()[:2] == ["image", "1."]
    assert said.stderr == f"{folder}/3/x.jpg: MX812 empty file\n"
    told = json.loads(ended("predict", weights, f"file://{folder}/3/0.png".replace(" ", "%20"), "--json").stdout)
    assert told[0]["image"] == f"{folder}/3/0.png" and len(told[0]["top"]) == 3
    every = json.loads(ended("predict", weights, str(folder), "--json").stdout)
    assert [answer.get("bad") for answer in every] == [None, None, None, "empty file"] and every[0] == told[0]
    assert ended("predict", weights, str(folder / "3" / "x.jpg")).exit_code == 1
    for words in (["https://example.org/a.png"], [str(tmp_path / "few")], [str(tmp_path)]):
        (tmp_path / "few").mkdir(exist_ok=True)
        code = ended("predict", weights, *words).exit_code
        assert code == (0 if words == [str(tmp_path)] else 2), words
    by_number = ended("predict", weights, "--data", f"{folder}?val=0", "--index", "0,3")
    assert f"{folder}?val=0/test/3: MX812 empty file" in by_number.stderr and "/test/0      3  " in by_number.stdout
