"""mixspec count, as one types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mixspec.cli import app

TINY = "name: tiny\nfamily: metaformer\ndepths: [1, 1, 1, 1]\ndims: [8, 16, 24, 32]\nmixers: SepConv\nclasses: 10\n"

CHECKPOINT = ["--checkpoint", "block"]

runner = CliRunner()


def run(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return runner.invoke(app, ["count", *arguments], input=stdin)


def data(*arguments: str, stdin: str | None = None) -> list[dict[str, Any]]:
    done = run(*arguments, "--json", stdin=stdin)
    assert done.exit_code == 0 and done.stderr == ""
    return json.loads(done.stdout)


def test_published_figures() -> None:
    caformer, convformer = data("caformer_s18", "convformer_s18")
    assert (caformer["name"], caformer["image"]) == ("caformer_s18", 224)
    assert (caformer["params"], caformer["params_trainable"], caformer["macs"]) == (26341656, 26341656, 4106941440)
    assert (convformer["params"], convformer["macs"]) == (26774448, 3940984320)
    assert caformer["fft_flops"] == 0 < caformer["activation_bytes"]


def test_stages_and_the_rest_add_up() -> None:
    (one,) = data("caformer_s18")
    assert [stage["path"] for stage in one["stages"]] == [f"stages.{index}" for index in range(4)]
    assert [stage["mixer"] for stage in one["stages"]] == ["SepConv", "SepConv", "attention", "attention"]
    assert [(stage["grid"], stage["width"], stage["depth"]) for stage in one["stages"]] == [
        ([56, 56], 64, 3),
        ([28, 28], 128, 3),
        ([14, 14], 320, 9),
        ([7, 7], 512, 3),
    ]
    for figure in ("params", "params_trainable", "macs", "fft_flops", "activation_bytes"):
        assert sum(part[figure] for part in one["stages"] + one["others"]) == one[figure]


@pytest.mark.parametrize("by", ["block", "layer"])
def test_finer_parts_add_up(by: str) -> None:
    (one,) = data("caformer_s18", "--by", by)
    assert sum(part["macs"] for part in one[f"{by}s"]) == one["macs"]


def test_other_image_sizes() -> None:
    (large,) = data("convformer_s18", "--image", "384")
    assert (large["image"], large["params"], large["macs"]) == (384, 26774448, 11575664640)
    (wide,) = data("convformer_s18", "--image", "96x64")
    assert wide["image"] == [96, 64]


def test_memory_of_computing_again() -> None:
    (whole,), (blocks,), (mixers,) = (data("swin_t", *more) for more in ([], CHECKPOINT, [*CHECKPOINT[:1], "mixer"]))
    assert blocks["activation_bytes"] < mixers["activation_bytes"] < whole["activation_bytes"]
    assert blocks["macs"] == whole["macs"]
    done = run("swin_t", *CHECKPOINT, "--by", "stage")
    assert done.exit_code == 2 and "whole networks" in done.stderr


def test_table_for_people() -> None:
    head, row = run("caformer_s18").stdout.splitlines()
    assert head.split() == ["model", "image", "params", "MACs", "FFT", "flops", "activation", "bytes"]
    assert row.split()[:4] == ["caformer_s18", "224x224", "26,341,656", "4,106,941,440"]


@pytest.mark.parametrize("by, lines", [("stage", 6), ("block", 3 + 18 + 2)])
def test_tables_end_with_the_total(by: str, lines: int) -> None:
    shown = run("caformer_s18", "--by", by).stdout.splitlines()
    assert len(shown) == 1 + lines + 1
    assert shown[-1].split()[:3] == ["caformer_s18", "224x224", "26,341,656"]


def test_a_file_and_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY, encoding="utf-8")
    assert data(str(file)) == data("-", stdin=TINY)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["cafromer_s18"], "MX001 there is no model 'cafromer_s18' (did you mean caformer_s18"),
        (["nosuch.yaml"], "nosuch.yaml:1:1: MX001 no such file"),
        (["."], ".:1:1: MX001 this is a folder"),
        (["caformer_s18", "nosuch.yaml"], "nosuch.yaml:1:1: MX001 no such file"),
    ],
)
def test_what_cannot_be_found(arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (1, "") and done.stderr.startswith(said)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "<stdin>:1:1: MX010 the document is empty"),
        ("name: [\n", "<stdin>:2:1: MX002"),
        (TINY.replace("SepConv", "SepConf"), "<stdin>:5:9: MX104 unknown mixer 'SepConf' (did you mean SepConv"),
        (TINY.replace("SepConv", "attention Ch=5"), "<stdin>:5:22: MX203 stage 1: Ch=5 does not divide 8 channels"),
        (b"\xff\xfen\0", "<stdin>:1:1: MX006 the file is UTF-16"),
    ],
)
def test_bad_specs_on_standard_input(text: str | bytes, said: str) -> None:
    done = run("-", stdin=text)
    assert (done.exit_code, done.stdout) == (1, "") and done.stderr.startswith(said)


@pytest.mark.parametrize("size", ["0", "7", "99999", "-224", "big", "224x", "224x224x3", "", "224.0", "²", "0x10"])
def test_bad_image_sizes_are_wrong_usage(size: str) -> None:
    done = run("caformer_s18", f"--image={size}")
    assert done.exit_code == 2 and done.stdout == "" and "--image" in done.stderr


def test_an_image_the_network_cannot_take_is_a_complaint() -> None:
    fixed = TINY.replace("SepConv", "TokenLinear") + "image: 64\n"
    assert run("-", stdin=fixed).exit_code == 0
    done = run("-", "--image", "96", stdin=fixed)
    assert (done.exit_code, done.stdout) == (1, "") and done.stderr.startswith("<stdin>:5:9: MX204 stage 1:")


def test_numbers_are_never_coloured_in_a_pipe() -> None:
    assert "\x1b" not in run("caformer_s18").stdout + run("caformer_s18", "--json").stdout
