"""prune, inspect, the sweeps of eval and resampling in build as one types them."""

import json
from pathlib import Path

import pytest
from commands import complaint, ended
from small import SPEC, changed

from mixspec.cli._sweeps import numbers
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import resolve
from mixspec.zoo.load import fresh
from mixspec.zoo.training.data import digits
from mixspec.zoo.weights import header, save

MIXERS = {
    "cada": "CADAsp b=6 agg=3 Ch=4",
    "hpx": "Hpx",
    "both": "CADAsp b=2 agg=3 Ch=4 in stage 1, Hpx in stage 2",
    "none": "attention Ch=8",
    "gabor": "Gabor k=3",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Untrained weights of several networks, and the specs they are of."""
    folder, facts = tmp_path_factory.mktemp("tools"), digits().facts()
    for name, mixers in MIXERS.items():
        text = changed(SPEC, "name: tiny", "depths: [2, 1]", f"mixers: {mixers}")
        (folder / f"{name}.yaml").write_text(text)
        save(fresh(resolve(parse(text)), 1), folder / f"{name}.safetensors", data=facts, recipe={"epochs": 1})
    return {name: str(folder / f"{name}.safetensors") for name in MIXERS}


def test_prune_writes_a_smaller_file_that_answers_as_told(files: dict[str, str], tmp_path: Path) -> None:
    small = str(tmp_path / "small.safetensors")
    result = ended("prune", files["cada"], "--budget", "100", "--output", small, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["files"] == [files["cada"], small]
    assert told["bytes"] == [Path(file).stat().st_size for file in told["files"]]
    for before, after in (told["bytes"], told["params"], told["macs"]):
        assert after < before
    assert told["removed"] == told["base_kernels"] == 6 * (2 + 2 + 4)
    assert told["mixers"] == "CADAsp b=1 agg=3 Ch=4" and told["split"] == "val"
    seen = json.loads(ended("eval", small, "--split", "val", "--json").stdout)
    assert (seen["name"], seen["top1"]) == ("tiny_pruned", told["top1_after"])
    held = header(small)
    assert held.recipe == {"epochs": 1} and held.metrics["pruned"]["removed"] == told["removed"]


def test_prune_for_people(files: dict[str, str]) -> None:
    result = ended("prune", files["cada"], "--split", "test")
    lines = result.stdout.splitlines()
    assert lines[0].split()[:3] == ["mixer", "before", "heads"] and len(lines[1:4]) == 3
    assert any(line.startswith("MACs ") for line in lines) and any(line.startswith("mixers: CADAsp") for line in lines)
    assert "base kernels removed; test top-1 " in lines[-1]


def test_prune_of_gabor_slices(files: dict[str, str], tmp_path: Path) -> None:
    small = str(tmp_path / "small.safetensors")
    told = json.loads(ended("prune", files["gabor"], "--budget", "100", "-o", small, "--json").stdout)
    assert told["removed"] == told["slices"] == 64 + 64 + 256
    assert [layer["kept"] for layer in told["layers"]] == [0, 0, 0]
    assert ended("eval", small).exit_code == 0
    assert "slices removed" in ended("prune", files["gabor"]).stdout


def test_inspect_says_what_there_is(files: dict[str, str]) -> None:
    both = json.loads(ended("inspect", files["both"], "--json").stdout)
    assert [row["path"] for row in both["correlation"]] == [f"stages.0.blocks.{block}.mixer" for block in (0, 1)]
    assert [row["path"] for row in both["kernel_size"]] == ["stages.1.blocks.0.mixer"]
    assert all(0 < row["base"] < 1 for row in both["correlation"])
    assert both["kernel_size"][0]["map_side"] == 4 and both["threshold"] == 0.05
    assert json.loads(ended("inspect", files["hpx"], "--json").stdout)["correlation"] == []
    lines = ended("inspect", files["both"]).stdout.splitlines()
    assert lines[0].startswith("mixer") and "coverage" in lines[-2] and len(lines) == 6


def test_eval_sweeps(files: dict[str, str]) -> None:
    words = ["eval", files["hpx"], "--crop-ratios", "0.8:1:0.025", "--images", "8,12x8", "--truncate", "0.5,2"]
    told = json.loads(ended(*words, "--json").stdout)
    assert [row["ratio"] for row in told["crop_ratios"]["crops"]] == [
        0.8,
        0.825,
        0.85,
        0.875,
        0.9,
        0.925,
        0.95,
        0.975,
        1,
    ]
    assert told["crop_ratios"]["crops"][-1]["top1"] == told["top1"] == told["images"][0]["top1"]
    assert told["crop_ratios"]["sd_population"] <= told["crop_ratios"]["sd_sample"]
    assert [row["image"] for row in told["images"]] == [8, [12, 8]]
    assert [(row["stage"], row["size"]) for row in told["truncation"]] == [(1, 0.5), (1, 2), (2, 0.5), (2, 2)]
    text = ended(*words).stdout
    assert "SD population" in text and "12x8" in text and "change, points" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.5", [0.5]), ("0.5,1", [0.5, 1.0]), ("0.8:1:0.1", [0.8, 0.9, 1.0]), ("0.1:0.2:0.03", [0.1, 0.13, 0.16, 0.19])],
)
def test_lists_of_numbers(text: str, expected: list[float]) -> None:
    assert numbers(text, "--x") == expected


def test_build_resamples(files: dict[str, str], tmp_path: Path) -> None:
    spec, large = files["hpx"].replace(".safetensors", ".yaml"), str(tmp_path / "large.safetensors")
    words = ["build", spec, "--weights", files["hpx"], "--image", "16", "--save", large]
    assert ended(*words, "--resample", "coverage").exit_code == 0
    assert header(large).tensors["stages.0.blocks.0.mixer.positions"] == "(1, 32, 31, 31)"
    assert ended(*words).exit_code == 0
    assert header(large).tensors["stages.0.blocks.0.mixer.positions"] == "(1, 32, 15, 15)"


def test_wrong_input_gives_one_line(files: dict[str, str], tmp_path: Path) -> None:
    assert "MX821 tiny has no token mixer with base kernels" in complaint("prune", files["none"])
    assert "MX822 a budget of -1 points" in complaint("prune", files["cada"], "--budget", "-1")
    assert "MX821 tiny has neither base kernels nor" in complaint("inspect", files["none"])
    assert "MX822 a threshold of 2" in complaint("inspect", files["hpx"], "--threshold", "2")
    assert "MX821" in complaint("eval", files["none"], "--truncate", "1")
    assert "MX822 a crop ratio of 1.5" in complaint("eval", files["none"], "--crop-ratios", "1.5")
    assert "no such file" in complaint("prune", str(tmp_path / "none.safetensors"))
    spec = files["cada"].replace(".safetensors", ".yaml")
    assert "holds another network" in complaint("build", spec, "--weights", files["hpx"], "--resample", "coverage")


@pytest.mark.parametrize("text", ["", "a", "1:2", "1:0:0.1", "0:1:0", "0:1:1e-9", "1,2:3", "nan"])
def test_wrong_usage(files: dict[str, str], text: str) -> None:
    assert "--crop-ratios" in complaint("eval", files["none"], "--crop-ratios", text, code=2)


def test_resampling_needs_weights(files: dict[str, str]) -> None:
    assert "--resample" in complaint("build", "digits_dw", "--resample", "official", code=2)
