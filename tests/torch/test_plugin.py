"""A mixer from another package is found by its entry point, everywhere the folder's own are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
SHIFT = README.read_text("utf-8").split("# compiler/mixers/shift.py\n")[1].split("```")[0]
SHIFT = SHIFT.replace("from ..", "from mixspec.compiler.")
"""The mixer that the README adds, as a module of another package."""
SPEC = "name: shift_s12\nfamily: metaformer\nsize: s12\nmixers: Shift n=8 in stages 1-3, attention in stage 4\n"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from mixspec.cli import main; main()"
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "120"},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_three_files_make_a_mixer(tmp_path: Path) -> None:
    (tmp_path / "their_mixers.py").write_text(SHIFT)
    info = tmp_path / "their_mixers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-mixers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mixspec.mixers]\nshift = their_mixers\n")
    (tmp_path / "shift_s12.yaml").write_text(SPEC)

    assert run(tmp_path, "lint", "shift_s12.yaml").returncode == 0
    (counted,) = json.loads(run(tmp_path, "count", "shift_s12.yaml", "--json").stdout)
    assert [stage["mixer"] for stage in counted["stages"][1:3]] == ["Shift n=8", "Shift n=8"]
    assert "Shift" in run(tmp_path, "schema").stdout
    built = run(tmp_path, "build", "shift_s12.yaml", "--save", "shift.safetensors")
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "shift.safetensors").stat().st_size > 4 * counted["params"]
    wrong = run(tmp_path, "lint", "-").returncode
    assert wrong == 1
    (tmp_path / "wrong.yaml").write_text(SPEC.replace("Shift", "Shft"))
    assert "did you mean Shift" in run(tmp_path, "lint", "wrong.yaml").stdout


def test_plug_ins_that_cannot_be_loaded_are_named_and_hide_nothing(tmp_path: Path) -> None:
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (tmp_path / "empty_one.py").write_text("")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mixspec.mixers]\ngone = nosuch_module\nempty = empty_one\n")
    for name, said in (
        ("gone", "the plug-in 'gone' cannot be imported: No module named 'nosuch_module'"),
        ("empty", "empty_one must define one Mixer with notation 'empty'; found none"),
        ("SepCnov", "unknown mixer 'SepCnov' (did you mean SepConv"),
    ):
        (tmp_path / "x.yaml").write_text(SPEC.replace("Shift n=8", name).replace("attention", "attention Ch=24"))
        done = run(tmp_path, "lint", "x.yaml", "--select", "MX1,MX2", "--output-format", "concise")
        first, second = done.stdout.splitlines()
        assert done.returncode == 1 and first.startswith("x.yaml:4:9: MX104 ") and said in first
        assert "MX203 stage 4: Ch=24 does not divide 512 channels" in second
    schema = run(tmp_path, "schema")
    assert schema.returncode == 1 and len(schema.stderr.splitlines()) == 1 and "empty_one" in schema.stderr
