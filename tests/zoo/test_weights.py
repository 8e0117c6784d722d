import hashlib
import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import mixspec
from mixspec.compiler.catalogue import load as spec_of
from mixspec.compiler.catalogue import names
from mixspec.compiler.errors import SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.resolve import Network, resolve
from mixspec.zoo import disagreement, tensorfile, weights
from mixspec.zoo.load import fresh
from mixspec.zoo.weights import WeightsError, canonical_text, digest_of, from_canonical, header, load, save


@pytest.fixture
def file(tiny: Network, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save(fresh(tiny, 1), path, metrics={"val_top1": 50.0}, recipe={"epochs": 2}, data={"name": "digits"})
    return path


def rewritten(
    path: Path, facts: dict[str, str | None] | None = None, tensors: dict[str, torch.Tensor] | None = None
) -> Path:
    """The file with some of its header or its tensors exchanged."""
    with safe_open(path, "pt") as opened:
        old = opened.metadata()
    if tensors is not None:
        del old["tensors_sha256"]
    kept = {key: value for key, value in {**old, **(facts or {})}.items() if value is not None}
    save_file(load_file(path) if tensors is None else tensors, path, kept)
    return path


def headed(length: int, rest: bytes) -> bytes:
    """A file that says its header has so many bytes."""
    return length.to_bytes(8, "little") + rest


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


def test_field_added_since_does_not_spoil_a_file(file: Path) -> None:
    with safe_open(file, "pt") as opened:
        spec = json.loads(opened.metadata()["spec"])
    del spec["mixers"][0]["position"]  # as if a version before had not known it
    name = spec.pop("name")
    rewritten(file, {"spec": json.dumps({"name": name, **spec}), "spec_digest": digest_of(spec)})
    assert load(file).resolved is not None


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
    "pickle": (pickle.dumps({"a": 1}), r"a pickle .* not opened \(`mixspec port` reads one"),
    "zip": (b"PK\x03\x04" + bytes(40), "a pickle"),
    "header that claims too much": (headed(2**62, bytes(40)), "does not begin with"),
    "header longer than the file": (headed(1000, b"{}"), "truncated: 10 bytes, and the header alone has 1,000"),
    "header of no JSON": (headed(8, b"no json "), "no safetensors file, or a damaged one"),
    "tensor beyond the end": (
        headed(56, b'{"a":{"dtype":"F32","shape":[9],"data_offsets":[0,36]}}'.ljust(56) + bytes(4)),
        "no safetensors file, or a damaged one",
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


def test_damaged_tensors_are_refused(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    header(file)  # which says nothing of it
    with pytest.raises(WeightsError, match=r"MX803 the tensors have sha256 \w{12}, not \w{12} as the header claims"):
        load(file)


def test_files_without_digests_are_read(file: Path) -> None:
    rewritten(file, {"recipe_digest": None, "tensors_sha256": None})
    assert header(file).tensors_sha256 == ""
    assert load(file).resolved is not None


@pytest.mark.parametrize("recipe", ['{"epochs": 3}', None])
def test_tampered_recipe_is_refused(file: Path, recipe: str | None) -> None:
    rewritten(file, {"recipe": recipe})
    with pytest.raises(WeightsError, match=r"MX803 the header.s recipe has digest .* as it claims"):
        header(file)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_neither_saved_nor_loaded(
    tiny: Network, file: Path, tmp_path: Path, value: float
) -> None:
    model = fresh(tiny, 1)
    with torch.no_grad():
        model.head.fc.weight[0, 0] = value
    with pytest.raises(WeightsError, match=r"MX805 1 of \d+ tensors hold NaN or infinity\n  head\.fc\.weight 1 of 160"):
        save(model, tmp_path / "b.safetensors")
    assert not (tmp_path / "b.safetensors").exists()
    rewritten(file, tensors={**load_file(file), "head.fc.weight": model.head.fc.weight.detach()})
    with pytest.raises(WeightsError, match=r"MX808 1 of .* hold NaN or infinity"):
        load(file)


def test_large_finite_values_are_finite() -> None:
    assert not tensorfile.infinite({"a": torch.full((2,), torch.finfo(torch.float32).max)})  # whose sum is not
    assert not tensorfile.infinite({"a": torch.full((9,), 60000.0, dtype=torch.float16)})


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_one_precision_for_all_weights(tiny: Network, tmp_path: Path, precision: torch.dtype) -> None:
    save(fresh(tiny).to(precision), tmp_path / "a.safetensors")
    assert load(tmp_path / "a.safetensors").stem.conv.weight.dtype == precision


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


@pytest.mark.parametrize("kind", [torch.float8_e5m2, torch.bool, torch.uint8, torch.bfloat16, torch.int64])
def test_types_have_the_words_of_the_file_format(kind: torch.dtype, tmp_path: Path) -> None:
    state = {"a": torch.zeros(2, dtype=kind), "b": torch.zeros(2), "c": torch.zeros(2)}
    save_file(state, tmp_path / "a.safetensors")
    assert tensorfile.contents(tmp_path / "a.safetensors").tensors == disagreement.described(state)


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
    with pytest.raises(WeightsError, match="MX801"):
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
    with pytest.raises(OSError, match="No space"):
        save(fresh(tiny, 2), file)
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
