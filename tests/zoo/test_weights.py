"""Weights files hold a network, and give it back: to the last bit, with its spec and with what is known of it."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import mixspec
from mixspec.compiler.catalogue import load as spec_of
from mixspec.compiler.catalogue import names
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo import disagreement, tensorfile, weights
from mixspec.zoo.load import fresh
from mixspec.zoo.weights import WeightsError, canonical_text, digest_of, from_canonical, header, load, save

from .rewritten import rewritten


@pytest.mark.parametrize("name", names())
def test_canonical_form_of_every_spec_reads_back(name: str) -> None:
    network = resolve(spec_of(name))
    again = from_canonical(canonical_text(network))
    assert again.digest == network.digest
    assert again.name == name
    assert again.canonical() == network.canonical()


def test_loaded_model_computes_the_same_bits(tiny: Network, file: Path) -> None:
    model, again = fresh(tiny, 1).eval(), load(file)
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(model(x), again(x))
    assert not again.training
    assert list(again.state_dict()) == list(model.state_dict())
    assert {k: p.requires_grad for k, p in again.named_parameters()} == {
        k: p.requires_grad for k, p in model.named_parameters()
    }
    assert again.resolved is not None and again.resolved.digest == tiny.digest


def test_loaded_model_can_be_trained_without_touching_the_file(file: Path) -> None:
    before = file.read_bytes()
    model = load(file).train()
    model(torch.randn(4, 1, 8, 8)).sum().backward()
    torch.optim.SGD(model.parameters(), 1.0).step()
    assert file.read_bytes() == before


def test_header_tells_everything_without_tensors(tiny: Network, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise AssertionError("tensors were read")

    monkeypatch.setattr(tensorfile, "read", fail)
    monkeypatch.setattr(weights, "read", fail)
    held = header(file)
    assert (held.network.name, held.digest) == ("tiny", tiny.digest)
    assert (held.metrics, held.recipe, held.data) == ({"val_top1": 50.0}, {"epochs": 2}, {"name": "digits"})
    assert held.generator == f"mixspec {mixspec.__version__}"
    assert held.recipe_digest == digest_of({"epochs": 2})
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    assert held.tensors_sha256 == hashlib.sha256(content[start:]).hexdigest()
    with safe_open(file, "pt") as opened:
        assert opened.metadata()["format"] == "pt"  # huggingface_hub insists


def test_new_classifier_travels_with_the_file(tiny: Network, tmp_path: Path) -> None:
    model = fresh(tiny)
    model.reset_classifier(3)
    save(model, tmp_path / "three.safetensors")
    again = load(tmp_path / "three.safetensors")
    assert again.num_classes == 3
    assert again.resolved is not None and again.resolved.family.classes == 3


def test_channels_last_weights_are_kept(tiny: Network, tmp_path: Path) -> None:
    model = fresh(tiny).to(memory_format=torch.channels_last)
    save(model, tmp_path / "a.safetensors")
    assert all(
        torch.equal(a, b)
        for a, b in zip(
            model.state_dict().values(), load(tmp_path / "a.safetensors").state_dict().values(), strict=True
        )
    )


def test_field_added_since_does_not_spoil_a_file(file: Path) -> None:
    with safe_open(file, "pt") as opened:
        spec = json.loads(opened.metadata()["spec"])
    del spec["mixers"][0]["position"]  # as if a version before had not known it
    name = spec.pop("name")
    rewritten(file, {"spec": json.dumps({"name": name, **spec}), "spec_digest": digest_of(spec)})
    assert load(file).resolved is not None


def test_links_are_followed_where_they_lead_somewhere(file: Path, tmp_path: Path) -> None:
    link, chain = tmp_path / "link.safetensors", tmp_path / "chain.safetensors"
    link.symlink_to(file.name)
    chain.symlink_to(link)
    assert load(chain).resolved is not None
    nowhere = tmp_path / "nowhere.safetensors"
    nowhere.symlink_to("gone.safetensors")
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors: MX801 a link to gone\.safetensors, which is not"):
        load(nowhere)
    loop = tmp_path / "loop.safetensors"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="symbolic links"):
        load(loop)


def test_saving_replaces_a_link_and_not_what_it_leads_to(tiny: Network, file: Path, tmp_path: Path) -> None:
    before, link = file.read_bytes(), tmp_path / "link.safetensors"
    link.symlink_to(file)
    save(fresh(tiny, 7), link)
    assert not link.is_symlink() and link.read_bytes() != before
    assert file.read_bytes() == before


def test_files_without_digests_are_read(file: Path) -> None:
    rewritten(file, {"recipe_digest": None, "tensors_sha256": None})
    assert header(file).tensors_sha256 == ""
    assert load(file).resolved is not None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_neither_saved_nor_loaded(
    tiny: Network, file: Path, tmp_path: Path, value: float
) -> None:
    model = fresh(tiny, 1)
    with torch.no_grad():
        model.head.fc.weight[0, 0] = value
    with pytest.raises(WeightsError, match=r"MX805 1 of \d+ tensors hold NaN or infinity: head\.fc\.weight .1 of 160 "):
        save(model, tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()
    rewritten(file, tensors={**load_file(file), "head.fc.weight": model.head.fc.weight.detach()})
    with pytest.raises(WeightsError, match=r"MX808 1 of .* hold NaN or infinity") as caught:
        load(file)
    assert len(str(caught.value).splitlines()) == 1


def test_large_finite_values_are_finite() -> None:
    assert not tensorfile.infinite({"a": torch.full((2,), torch.finfo(torch.float32).max)})  # whose sum is not
    assert not tensorfile.infinite({"a": torch.full((9,), 60000.0, dtype=torch.float16)})


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_one_precision_for_all_weights(tiny: Network, tmp_path: Path, precision: torch.dtype) -> None:
    save(fresh(tiny).to(precision), tmp_path / "a.safetensors")
    assert load(tmp_path / "a.safetensors").stem.conv.weight.dtype == precision


@pytest.mark.parametrize("kind", [torch.float8_e5m2, torch.bool, torch.uint8, torch.bfloat16, torch.int64])
def test_types_have_the_words_of_the_file_format(kind: torch.dtype, tmp_path: Path) -> None:
    state = {"a": torch.zeros(2, dtype=kind), "b": torch.zeros(2), "c": torch.zeros(2)}
    save_file(state, tmp_path / "a.safetensors")
    assert tensorfile.contents(tmp_path / "a.safetensors").tensors == disagreement.described(state)


def test_missing_file_and_folder_are_os_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.safetensors")
    with pytest.raises(IsADirectoryError):
        load(tmp_path)


def test_saving_takes_the_place_of_no_pipe_and_no_folder(
    tiny: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for name, reason in (("pipe", "is no file"), (".", "directory"), ("/", "directory")):
        with pytest.raises(OSError, match=reason) as caught:
            save(fresh(tiny), Path(name))
        assert caught.value.filename == name
    assert [(entry.name, entry.is_fifo()) for entry in tmp_path.iterdir()] == [("pipe", True)]


def test_failing_write_leaves_the_old_file(tiny: Network, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def half(path: Path, state: object, facts: object) -> None:
        path.write_bytes(before[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "write", half)
    with pytest.raises(OSError, match="No space") as caught:
        save(fresh(tiny, 2), file)
    assert caught.value.filename == str(file)
    assert file.read_bytes() == before
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_model_that_left_its_spec_is_not_saved(tiny: Network, tmp_path: Path) -> None:
    pruned = fresh(tiny)
    pruned.prune_intermediate_layers(1)
    del pruned.stages[0]
    for model, what in ((pruned, "no longer what its spec says"), (fresh(tiny, device="meta"), "meta device")):
        with pytest.raises(WeightsError, match=what):
            save(model, tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_metrics_are_plain_numbers(tiny: Network, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        save(fresh(tiny), tmp_path / "a.safetensors", metrics={"loss": float("nan")})
    assert not list(tmp_path.iterdir())
