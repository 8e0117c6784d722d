"""Exported files give what the network gives, without our operators, for batches of any number of images."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import torch
from typer.testing import CliRunner

from mixspec.cli import app
from mixspec.compiler.errors import SpecError
from mixspec.compiler.lower import lower
from mixspec.compiler.mixers.hpx import Hpx
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import resolve
from mixspec.zoo.export import Format, export

FRAME = "family: metaformer\ndepths: [1, 1, 1]\ndims: [8, 16, 24]\nimage: 32\nclasses: 5\n"
SPECS = {
    "metaformer": FRAME + "mixers: Hpx in stage 1, Hyena in stage 2, involution k=3 Ch=4 in stage 3\n",
    "resnet": "family: resnet\ndepths: [1, 1]\nwidth: 8\nvariant: e\nfilter: ideal\nimage: 32\nclasses: 5\n"
    "mixers: CADAsp b=2 agg=3 Ch=4\n",
    "cvt": "family: cvt\ndepths: [1, 1]\ndims: [64, 64]\nimage: 32\nclasses: 5\nmixers: ConvAttention Ch=32\n",
}


def model(text: str) -> torch.nn.Module:
    torch.manual_seed(0)
    made = lower(resolve(parse(f"name: small\n{text}")))
    made(torch.randn(4, 3, 32, 32))  # batch norms have statistics
    return made.eval()


@pytest.mark.parametrize("name", SPECS)
def test_onnx(name: str, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    network, file = model(SPECS[name]), tmp_path / "small.onnx"
    done = export(network, file, "onnx")
    assert done.deviation is not None and done.deviation < 1e-5
    graph = onnx.load(file)
    assert {node.domain for node in graph.graph.node} == {""} and not graph.functions
    assert not {"DFT", "STFT"} & {node.op_type for node in graph.graph.node}
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        x = torch.randn(batch, 3, 32, 32)
        (given,) = session.run(None, {"images": x.numpy()})
        expected = network(x).detach().numpy()
        numpy.testing.assert_allclose(given, expected, rtol=0, atol=1e-4 * abs(expected).max())


def test_a_program_of_torch_runs_without_this_package(tmp_path: Path) -> None:
    network, file = model(SPECS["metaformer"]), tmp_path / "small.pt2"
    x = torch.randn(3, 3, 32, 32)
    done = export(network, file, "pt2")
    assert done.deviation is not None and done.deviation < 1e-5
    torch.save({"x": x, "y": network(x).detach()}, tmp_path / "pair.pt")
    code = (
        "import torch, sys; pair = torch.load('pair.pt'); y = torch.export.load('small.pt2').module()(pair['x']);"
        "assert (y - pair['y']).abs().max() < 1e-4 * pair['y'].abs().max();"
        "assert not [name for name in sys.modules if name.startswith('mixspec')]"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, check=True)


@pytest.mark.parametrize("to", ["onnx", "pt2"])
def test_a_full_disk_is_an_error_that_names_the_file(to: Format, tmp_path: Path) -> None:
    """torch's own writer would end the process."""
    network, file = model(FRAME + "mixers: pooling\n"), tmp_path / "small"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            export(network, file, to)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(file) and not list(tmp_path.iterdir())


def test_a_mixer_that_says_it_cannot_is_refused_as_lint_refuses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Hpx, "cannot", {"onnx": "it is told so here"}, raising=False)
    with pytest.raises(SpecError, match=r"MX601 stage 1: Hpx does not support onnx \(it is told so here\)"):
        export(model(SPECS["metaformer"]), tmp_path / "small.onnx", "onnx")
    assert not list(tmp_path.iterdir())


def test_command(tmp_path: Path) -> None:
    spec, file = tmp_path / "small.yaml", tmp_path / "small.pt2"
    spec.write_text(f"name: small\n{FRAME}mixers: pooling\n")
    done = CliRunner().invoke(app, ["export", str(spec), "--to", "pt2", "-o", str(file), "--image", "48", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["image"] == [48, 48] and said["deviation"] < 1e-5 and said["bytes"] == file.stat().st_size
    for words, code, complaint in (
        (["export", "nonsense", "-o", str(file)], 1, "MX001 there is no model 'nonsense'"),
        (["export", str(spec), "-o", str(tmp_path / "no" / "x.onnx")], 1, "no such file or directory"),
        (["export", str(tmp_path / "no.safetensors"), "-o", str(file)], 1, "no.safetensors"),
        (["export", str(spec)], 2, "Missing option"),
    ):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == code and complaint in done.output, done.output
