"""A mixer from another package is found by its entry point, everywhere the folder's own are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SHIFT = '''
"""Shift: channels look at their neighbours, without a single weight. arXiv:2201.10801."""

from pydantic import Field, PositiveInt

from mixspec.compiler.mixer import Mixer, Traits


class Shift(Mixer):
    """A share of the channels moves by one position to the right, another to the left."""

    notation = "Shift"
    share: PositiveInt = Field(4, alias="n", description="channels over those that move in one direction")

    def traits(self, at):
        return Traits("sliding", "separate", reach=1)

    def forward(self, m, x):
        import torch

        n = x.shape[1] // self.share
        return torch.cat([x[:, :n].roll(1, 3), x[:, n : 2 * n].roll(-1, 3), x[:, 2 * n :]], 1)
'''
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
