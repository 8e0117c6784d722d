"""train, eval and predict as one types them, on one network that is trained once."""

import json
import os
from pathlib import Path

import pytest
from commands import complaint, ended
from PIL import Image
from small import SPEC, changed

from mixspec.zoo.training.data import digits
from mixspec.zoo.weights import header

TINY = changed(
    SPEC,
    "name: tiny",
    "classes: 1000",
    "res_scale: [false, true]",
    "mixers: CADAsp b=2 ca=3 agg=3 Ch=4 in stage 1, attention Ch=8 in stage 2",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spec, and the folder ``run`` of its training over two epochs."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.yaml").write_text(TINY)
    options = ["--data", "digits", "--epochs", "2", "--seed", "1", "--output", str(folder / "run"), "--json"]
    result = ended("train", str(folder / "tiny.yaml"), *options)
    assert result.exit_code == 0, result.stderr
    (folder / "told.json").write_text(result.stdout)
    return folder


@pytest.fixture(scope="module")
def weights(folder: Path) -> str:
    return str(folder / "run" / "best.safetensors")


def test_train_leaves_weights_and_a_log(folder: Path) -> None:
    tables = ["log.csv", "timings.csv", "updates.csv"]
    weights = ["best.safetensors", "last.safetensors"]
    assert sorted(os.listdir(folder / "run")) == sorted([*weights, *tables, "checkpoints", "run.json", "run.lock"])
    told = json.loads((folder / "told.json").read_text())
    held = header(told["best"])
    assert held.network.family.classes == 10  # as many as the data has, whatever the spec says
    assert (told["digest"], told["best_epoch"], told["val_top1"]) == (
        held.digest,
        held.metrics["epoch"],
        held.metrics["val_top1"],
    )
    assert held.recipe["epochs"] == 2 and held.recipe["name"] == "digits"


def test_train_says_each_epoch_once(folder: Path) -> None:
    words = ["train", str(folder / "tiny.yaml"), "--epochs", "1", "--output", str(folder / "other")]
    result = ended(*words)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{folder}/other/best.safetensors: epoch 1, ")
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("epoch 1/1  loss ") and line.endswith("best")
    assert "already" not in complaint(*words) and "of another training" in complaint(*words)
    assert ended(*words, "--overwrite").exit_code == 0


def test_eval_json(weights: str) -> None:
    told = json.loads(ended("eval", weights, "--data", "digits", "--split", "test", "--json").stdout)
    scores = {
        "images",
        "top1",
        "top1_interval",
        "top5",
        "loss",
        "per_class",
        "calibration",
        "confused",
        "confusion",
        "bad",
    }
    assert {"weights", "name", "digest", "data", "split"} | scores == set(told)
    assert (told["name"], told["data"], told["split"], told["images"]) == ("tiny", "digits", "test", 300)
    assert 0 <= told["top1"] <= told["top5"] <= 100
    right = sum(score["images"] * score["top1"] / 100 for score in told["per_class"].values())
    assert right == pytest.approx(300 * told["top1"] / 100, abs=1e-2)


def test_eval_repeats_what_training_measured(folder: Path, weights: str) -> None:
    told = json.loads(ended("eval", weights, "--split", "val", "--json").stdout)
    trained = json.loads((folder / "told.json").read_text())
    assert told["top1"] == trained["val_top1"]
    assert told["loss"] == pytest.approx(trained["val_loss"], abs=2e-6)  # eval runs the frozen copy


def test_eval_for_people(weights: str) -> None:
    result = ended("eval", weights)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[0].split() == ["class", "images", "top-1", "%"]
    assert "tiny on digits, test: top-1 " in result.stdout


def test_predict_json_by_index(weights: str) -> None:
    told = json.loads(ended("predict", weights, "--data", "digits", "--index", "5,0", "--top", "2", "--json").stdout)
    labels = digits().splits["test"].labels
    assert [answer["image"] for answer in told] == ["digits/test/5", "digits/test/0"]
    assert [answer["label"] for answer in told] == [str(int(labels[5])), str(int(labels[0]))]
    for answer in told:
        first, second = answer["top"]
        assert 1 >= first["probability"] >= second["probability"] >= 0
        assert first["class"] != second["class"]


def test_predict_of_files_agrees_with_the_same_built_in_images(weights: str, tmp_path: Path) -> None:
    files = []
    for index, image in enumerate(digits().splits["test"].images[:2, 0]):
        files.append(str(tmp_path / f"{index}.png"))
        Image.fromarray((image * 255).round().byte().numpy()).save(files[-1])
    by_file = json.loads(ended("predict", weights, *files, "--json").stdout)
    by_index = json.loads(ended("predict", weights, "--data", "digits", "--index", "0,1", "--json").stdout)
    assert [answer["image"] for answer in by_file] == files
    for one, other in zip(by_file, by_index, strict=True):
        assert "label" not in one
        assert one["top"][0]["probability"] == pytest.approx(other["top"][0]["probability"], abs=5e-3)


def test_predict_for_people(weights: str) -> None:
    result = ended("predict", weights, "--data", "digits", "--index", "0", "--top", "99")
    heads, row = result.stdout.splitlines()
    assert heads.split() == ["image", "label", *(f"{rank}." for rank in range(1, 11))]
    assert row.startswith("digits/test/0 ")


def test_wrong_input_gives_one_line(folder: Path, weights: str, tmp_path: Path) -> None:
    spec, none = str(folder / "tiny.yaml"), str(tmp_path / "none.safetensors")
    assert "no such file" in complaint("eval", none)
    assert "MX801" in complaint("eval", spec)
    assert "directory" in complaint("eval", str(tmp_path))
    assert "MX812 no image" in complaint("predict", weights, spec)
    assert "no such file" in complaint("predict", weights, none)
    assert "there is no image 300 (0 to 299)" in complaint("predict", weights, "--data", "digits", "--index", "300")
    assert "there is no model" in complaint("train", "nope", "--output", str(tmp_path))
    assert "there is no recipe" in complaint("train", spec, "--recipe", "nope", "--output", str(tmp_path))
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert f"{blocked}: " in complaint("train", spec, "--epochs", "1", "--output", str(blocked))


def test_wrong_usage_ends_with_two(folder: Path, weights: str) -> None:
    spec = str(folder / "tiny.yaml")
    complaint("train", spec, code=2)
    complaint("train", spec, "--output", "x", "--epochs", "0", code=2)
    assert "MX814 mnist: there is no such folder" in complaint("train", spec, "--output", "x", "--data", "mnist")
    complaint("eval", weights, "--split", "all", code=2)
    complaint("predict", weights, code=2)
    complaint("predict", weights, spec, "--data", "digits", code=2)
    complaint("predict", weights, "--data", "digits", code=2)
    complaint("predict", weights, "--data", "digits", "--index", "1,x", code=2)
    complaint("predict", weights, spec, "--index", "1", code=2)
