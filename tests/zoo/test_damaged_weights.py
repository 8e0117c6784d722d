"""Weights files that are damaged, tampered with or of something else are refused in one line."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mixspec.compiler.errors import SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import resolve
from mixspec.zoo import weights
from mixspec.zoo.weights import WeightsError, header, load

from .rewritten import rewritten


def headed(length: int, rest: bytes) -> bytes:
    """A file that says its header has so many bytes."""
    return length.to_bytes(8, "little") + rest


def test_tampered_digest_is_refused(file: Path) -> None:
    rewritten(file, {"spec_digest": "0" * 64})
    with pytest.raises(
        WeightsError, match=r"tiny\.safetensors: MX803 the header's spec has digest .* not 000000000000"
    ):
        load(file)


def test_tampered_spec_is_refused(file: Path) -> None:
    with safe_open(file, "pt") as opened:
        spec = json.loads(opened.metadata()["spec"])
    spec["mixers"][1]["head_channels"] = 4  # the same shapes
    rewritten(file, {"spec": json.dumps(spec)})
    with pytest.raises(WeightsError, match="MX803"):
        load(file)


def test_spec_that_means_something_else_by_now_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = resolve(parse(spec_text(file).replace('"head_channels": 8', '"head_channels": 4')))
    monkeypatch.setattr(weights, "resolve", lambda spec: moved)
    with pytest.raises(WeightsError, match=r"no longer means .* mixers\.1\.head_channels 8 is now 4 \(.* by mixspec"):
        load(file)


def test_disagreeing_tensors_are_listed_from_both_sides(file: Path) -> None:
    tensors = load_file(file)
    del tensors["head.fc.bias"]
    tensors["stem.conv.weight"] = torch.zeros(8, 3, 3, 3)
    tensors["extra"] = torch.zeros(2)
    tensors["stages.0.blocks.0.mixer.norm.num_batches_tracked"] = torch.zeros(())
    rewritten(file, tensors=tensors)
    with pytest.raises(WeightsError) as caught:
        load(file)
    assert str(caught.value).splitlines() == [
        f"{file}: MX804 not the weights of tiny: 1 missing, 1 unexpected, 2 misshapen",
        "  missing     head.fc.bias (10,)",
        "  unexpected  extra (2,)",
        "  misshapen   stem.conv.weight file (8, 3, 3, 3), spec (8, 1, 3, 3)",
        "  misshapen   stages.0.blocks.0.mixer.norm.num_batches_tracked file (), spec () of integers",
    ]


def test_long_reports_are_cut(file: Path) -> None:
    rewritten(file, tensors={"stem.conv.weight": load_file(file)["stem.conv.weight"]})
    with pytest.raises(WeightsError, match=r"  \.\.\. and \d+ more"):
        load(file)


def spec_text(file: Path) -> str:
    with safe_open(file, "pt") as opened:
        return str(opened.metadata()["spec"])


NO_FILE = {
    "empty": (b"", "an empty file"),
    "three bytes": (b"abc", "does not begin with the length of a header"),
    "garbage": (b"garbage that is long enough for a header", "does not begin with the length of a header"),
    "pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", r"a pointer of Git LFS, .*git lfs pull"),
    "bytes behind the last tensor": (
        headed(56, b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(56) + bytes(9)),
        "5 bytes more than its header tells of",
    ),
    "pickle": (pickle.dumps({"a": 1}), r"a pickle .* not opened \(`mixspec port` reads one"),
    "zip": (b"PK\x03\x04" + bytes(40), "a pickle"),
    "header that claims too much": (headed(2**62, bytes(40)), "does not begin with"),
    "header longer than the file": (headed(1000, b"{}"), "truncated: 10 bytes, and the header alone has 1,000"),
    "header of no JSON": (headed(8, b"no json "), "no safetensors file, or a damaged one"),
    "tensor beyond the end": (
        headed(56, b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(56) + bytes(4)),
        "truncated: 68 of 100 bytes",
    ),
    "tensor of fewer bytes than its shape": (
        headed(56, b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,4]}}'.ljust(56) + bytes(4)),
        "no safetensors file, or a damaged one",
    ),
}


@pytest.mark.parametrize("what", NO_FILE)
def test_no_safetensors_file_gives_one_line(what: str, tmp_path: Path) -> None:
    content, told = NO_FILE[what]
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=f"MX801 .*{told}") as caught:
        load(path)
    assert len(str(caught.value).splitlines()) == 1


def test_oversized_header_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write(headed(25_000_001, b'{"a'))
        file.truncate(30_000_000)  # sparse
    with pytest.raises(WeightsError, match="MX801 the header has 25,000,001 bytes, and more than 25,000,000 are not"):
        load(path)


def test_what_is_no_regular_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(WeightsError, match="MX801 no regular file"):  # opening it would wait forever
        load(tmp_path / "pipe.safetensors")


def test_damaged_tensors_are_refused(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    header(file)  # which says nothing of it
    with pytest.raises(WeightsError, match=r"MX803 the tensors have sha256 \w{12}, not \w{12} as the header claims"):
        load(file)


@pytest.mark.parametrize("recipe", ['{"epochs": 3}', None])
def test_tampered_recipe_is_refused(file: Path, recipe: str | None) -> None:
    rewritten(file, {"recipe": recipe})
    with pytest.raises(WeightsError, match=r"MX803 the header.s recipe has digest .* as it claims"):
        header(file)


def test_wrong_types_are_refused(file: Path) -> None:
    tensors = load_file(file)
    tensors["head.fc.bias"] = tensors["head.fc.bias"].half()
    tensors["stem.conv.weight"] = tensors["stem.conv.weight"].to(torch.float8_e4m3fn)
    count = "stages.0.blocks.0.mixer.norm.num_batches_tracked"
    tensors[count] = tensors[count].int()
    rewritten(file, tensors=tensors)
    with pytest.raises(WeightsError) as caught:
        header(file)
    assert sorted(str(caught.value).splitlines()[1:]) == [
        "  misshapen   head.fc.bias file (10,) of F16, spec (10,)",
        f"  misshapen   {count} file () of I32, spec () of integers",
        "  misshapen   stem.conv.weight file (8, 1, 3, 3) of F8_E4M3, spec (8, 1, 3, 3)",
    ]


def test_torch_pickle_is_not_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "boom",)  # type: ignore[return-value]

    torch.save({"state_dict": Bomb()}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="MX801"):
        load(tmp_path / "a.pth")
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_truncated_file_is_refused(file: Path, share: float) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(WeightsError, match="MX801 truncated: "):
        load(file)


def test_file_without_a_spec_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="MX802 no spec in the header"):
        load(tmp_path / "a.safetensors")


@pytest.mark.parametrize("spec", ["", "[1]", "name: x", "{", '{"name": "tiny", "family": "nope"}'])
def test_broken_spec_in_a_header_is_a_complaint(file: Path, spec: str) -> None:
    rewritten(file, {"spec": spec})
    with pytest.raises(SpecError, match=r"tiny\.safetensors \(header\):"):
        load(file)


def test_broken_facts_in_a_header_are_a_complaint(file: Path) -> None:
    rewritten(file, {"metrics": "[1"})
    with pytest.raises(WeightsError, match="metrics in the header"):
        load(file)
