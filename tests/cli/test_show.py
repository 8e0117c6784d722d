"""mixspec show and mixspec schema, as one types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mixspec.cli import app
from mixspec.compiler.catalogue import load
from mixspec.compiler.resolve import resolve

runner = CliRunner()


def run(*arguments: str, stdin: str | None = None) -> Result:
    return runner.invoke(app, list(arguments), input=stdin)


def test_one_line_for_each_stage() -> None:
    done = run("show", "caformer_s18")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert done.exit_code == 0 and lines[0][0] == "caformer_s18"
    assert ["stages.0", "56x56", "64", "3", "SepConv", "167k", "521M"] in lines
    assert ["stages.2", "14x14", "320", "9", "attention", "11.4M", "2.46G"] in lines
    assert "26.3M parameters, 4.11G MACs" in done.stdout


def test_the_tree() -> None:
    tree = run("show", "caformer_s18", "--tree").stdout
    assert "Conv 3 64 7 stride=4 padding=2 bias" in tree and "0-8" in tree
    shallow = run("show", "caformer_s18", "--depth", "1").stdout
    names = [line.split()[0] for line in shallow.splitlines()[-3:]]
    assert names == ["stem", "stages", "head"] and "Conv" not in shallow
    assert len(tree.splitlines()) > 50


def test_lines_are_not_wrapped_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert run("show", "caformer_s18").stdout.count("\n") == len(run("show", "caformer_s18").stdout.splitlines())
    assert any(len(line) > 40 for line in run("show", "caformer_s18").stdout.splitlines())


def test_json_holds_the_canonical_form() -> None:
    shown = json.loads(run("show", "caformer_s18", "--json", "--image", "384").stdout)
    network = resolve(load("caformer_s18"))
    assert shown["digest"] == network.digest and shown["image"] == 384
    assert shown["canonical"]["mixers"][2]["type"] == "attention"
    assert shown["outline"][0]["path"] == "stem"
    layers = json.loads(run("show", "caformer_s18", "--json", "--depth", "2").stdout)["layers"]
    assert layers[0]["path"] == "stem" and layers[1]["path"] == "stem.conv"


def test_standard_input_and_mistakes() -> None:
    assert run("show", "-", stdin="").stderr.startswith("<stdin>:1:1: MX010")
    assert run("show", "nosuchmodel").exit_code == 1
    assert run("show", "caformer_s18", "convformer_s18").exit_code == 2
    assert run("show", "caformer_s18", "--depth", "0").exit_code == 2


def test_schema_is_json() -> None:
    whole = json.loads(run("schema").stdout)
    assert whole["$schema"].endswith("2020-12/schema") and "metaformer" in whole["$defs"]
    assert json.loads(run("schema", "--family", "metaformer").stdout)["properties"]["family"]["const"] == "metaformer"


def test_schema_of_an_unknown_family() -> None:
    done = run("schema", "--family", "metformer")
    words = " ".join(done.stderr.replace("│", " ").split())
    assert done.exit_code == 2 and "did you mean metaformer?" in words


def test_no_file_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["show", "caformer_s18"], ["schema"], ["count", "caformer_s18"], ["lint", "caformer_s18"]):
        assert run(*arguments).exit_code == 0
    assert list(tmp_path.iterdir()) == []
