import json
from pathlib import Path

from typer.testing import CliRunner

import mixspec
from mixspec.cli import app
from mixspec.zoo.weights import header

run = CliRunner().invoke


def test_summary_adds_up_to_the_stem_mixers_mlps_and_head() -> None:
    told = json.loads(run(app, ["build", "digits_cadasp", "--json"]).stdout)
    model = mixspec.build("digits_cadasp")
    assert told["parameters"] == sum(p.numel() for p in model.parameters())
    rows = {row["path"]: row for row in told["modules"]}
    assert list(rows)[:3] == ["stem", "stages.0.blocks.0.mixer", "stages.0.blocks.0.mlp"]
    assert rows["stages.2.blocks.0.mixer"]["module"] == "CADAsp agg=3 Ch=8"
    for path, row in rows.items():
        assert row["parameters"] == sum(p.numel() for p in model.get_submodule(path).parameters())


def test_save_writes_what_the_seed_gives(tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        result = run(app, ["build", "digits_dw", "--save", str(tmp_path / name), "--seed", seed])
        assert result.exit_code == 0
        assert f"wrote {tmp_path / name}: " in result.stdout
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c
    assert header(tmp_path / "a").network.name == "digits_dw"


def test_a_file_that_cannot_be_written_is_named_as_given(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "missing" / "a.safetensors", "no such file or directory"), (tmp_path, "")):
        result = run(app, ["build", "digits_dw", "--save", str(path)])
        assert result.exit_code == 1
        assert result.stderr.startswith(f"{path}: {reason}") and ".tmp" not in result.stderr


def test_frozen_networks_are_listed_and_not_saved(tmp_path: Path) -> None:
    told = json.loads(run(app, ["build", "digits_cadasp", "--freeze", "--json"]).stdout)
    frozen = mixspec.freeze(mixspec.build("digits_cadasp"))
    assert told["parameters"] == sum(p.numel() for p in frozen.parameters())
    plain = json.loads(run(app, ["build", "digits_cadasp", "--json"]).stdout)
    assert told["tensors"] < plain["tensors"] and told["digest"] == plain["digest"]
    file = tmp_path / "a.safetensors"
    assert run(app, ["build", "digits_cadasp", "--freeze", "--save", str(file)]).exit_code == 2
    assert not file.exists()


def test_pretrained_with_another_classifier(tmp_path: Path) -> None:
    first, second = str(tmp_path / "a.safetensors"), str(tmp_path / "b.safetensors")
    assert run(app, ["build", "digits_dw", "--save", first]).exit_code == 0
    result = run(app, ["build", "digits_dw", "--weights", first, "--classes", "3", "--image", "32", "--save", second])
    assert result.exit_code == 0
    network = header(second).network
    assert (network.family.classes, network.at.h) == (3, 32)


def test_wrong_input_gives_one_line(tmp_path: Path) -> None:
    saved = str(tmp_path / "a.safetensors")
    run(app, ["build", "digits_dw", "--save", saved])
    for words, said in (
        (["digit_dw"], "did you mean digits_dw"),
        (["digits_dw", "--weights", str(tmp_path / "none")], "no such file"),
        (["digits_cadasp", "--weights", saved], "another network than digits_cadasp"),
        (["digits_dw", "--save", str(tmp_path / "none" / "a.safetensors")], "no such file"),
        (["digits_dw", "--save", str(tmp_path)], "directory"),
    ):
        result = run(app, ["build", *words])
        assert result.exit_code == 1, words
        assert said in result.stderr and len(result.stderr.strip().splitlines()) == 1
    assert run(app, ["build", "digits_dw", "--image", "big"]).exit_code == 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.safetensors"]
