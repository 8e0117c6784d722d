"""Entries of the zoo: those that ship are right, wrong ones are complaints with a place. All without torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mixspec.compiler import document
from mixspec.compiler.catalogue import names
from mixspec.compiler.errors import SpecError
from mixspec.zoo import entries
from mixspec.zoo.entries import FOLDER, WEIGHTS, Entry, typed
from mixspec.zoo.listing import Row, Wanted, rows

MEGABYTE = 1_000_000
FOREIGN = """\
name: caformer_s18.mine
spec: caformer_s18
source: hf://me/caformer/model.safetensors
layout: timm_metaformer
licence: mit
metrics:
- {name: top1, value: 83.6, data: ImageNet-1k, provenance: printed, source: a paper}
"""


def entry(text: str) -> Entry:
    return typed(document.load(text, "a.yaml"))


@pytest.mark.parametrize("known", entries.every(), ids=lambda known: known.name)
def test_entry_is_named_like_its_file_and_its_spec_ships(known: Entry) -> None:
    assert (FOLDER / f"{known.name}.yaml").is_file()
    assert known.spec in names() and known.licence
    assert entries.of(known.name) is known
    if not known.shipped:
        assert known.layout and known.url.count("/") == 4


def test_one_entry_is_the_default_of_its_spec() -> None:
    defaults = [known.spec for known in entries.every() if known.default]
    assert len(defaults) == len(set(defaults))
    assert {known.spec for known in entries.every()} == set(defaults)


def test_shipped_files_are_those_of_their_entries() -> None:
    shipped = [known for known in entries.every() if known.shipped]
    assert {file.name for file in WEIGHTS.glob("*")} == {known.source for known in shipped}
    for known in shipped:
        content = known.file.read_bytes()
        assert len(content) == known.size and len(content) <= MEGABYTE
        assert hashlib.sha256(content).hexdigest() == known.sha256


def test_an_accuracy_says_who_found_it_out() -> None:
    for known in entries.every():
        for metric in known.metrics:
            assert (metric.provenance == "measured") == known.shipped
            assert bool(metric.source) != known.shipped


@pytest.mark.parametrize("known", [e for e in entries.every() if e.metrics and not e.shipped], ids=lambda e: e.name)
def test_a_foreign_accuracy_stands_in_the_spec_with_the_same_source(known: Entry) -> None:
    metric, about = known.metrics[0], known.network().about
    places = {row.source.partition(",")[0].replace("Vision Transformer", "ViT"): row.top1 for row in about.published}
    assert places[metric.source.partition(",")[0]] == metric.value


@pytest.mark.parametrize(
    "old, new, said",
    [
        (
            "licence: mit",
            "licence: mit\nrevison: x",
            r"a\.yaml:6:1: MX101 unknown key .revison. \(did you mean revision\?\)",
        ),
        ("licence: mit\n", "", "MX103 licence is missing"),
        ("timm_metaformer", "timm_metaforme", r"a\.yaml:4:9: MX104 .*did you mean timm_metaformer"),
        ("hf://me/caformer/model.safetensors", "https://me/model.safetensors", r"a\.yaml:3:9: MX102 source"),
        ("hf://me/caformer/model.safetensors", "../model.safetensors", r"a\.yaml:3:9: MX102 source"),
        ("hf://me/caformer/model.safetensors", "model.pkl", r"a\.yaml:3:9: MX102 source"),
        ("hf://me/caformer/model.safetensors", "mine.safetensors", "its entry is incomplete .sha256"),
        ("value: 83.6", "value: -1", r"a\.yaml:7:23: MX102 value"),
        (", source: a paper", "", r"a\.yaml:7:3: MX102 source of a printed figure: missing"),
        ("provenance: printed", "provenance: measured", "source of a measured figure: a paper"),
        ("provenance: printed", "provenance: guessed", r"a\.yaml:7:\d+: MX104 provenance cannot be 'guessed'"),
        ("name: caformer_s18.mine", "name: Caformer", r"a\.yaml:1:7: MX102 name"),
        ("licence: mit", "licence: mit\nsha256: abc", r"a\.yaml:6:9: MX102 sha256"),
        (FOREIGN, "- a\n", "an entry is a mapping"),
    ],
)
def test_wrong_entries_are_complaints(old: str, new: str, said: str) -> None:
    assert entry(FOREIGN)
    with pytest.raises(SpecError, match=said) as caught:
        entry(FOREIGN.replace(old, new))
    assert len(str(caught.value).splitlines()) == 1


def test_every_entry_s_complaints_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "FOLDER", tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("name: a\n")
    with pytest.raises(SpecError) as caught:
        entries.every.__wrapped__()
    assert {problem.source for problem in caught.value.problems} == {str(tmp_path / f"{name}.yaml") for name in "ab"}


def test_url_carries_the_revision() -> None:
    assert entry(FOREIGN).url == "hf://me/caformer/model.safetensors"
    assert entry(f"{FOREIGN}revision: abc123\n").url == "hf://me/caformer@abc123/model.safetensors"


def test_names_that_have_no_weights() -> None:
    with pytest.raises(SpecError, match="MX806 no published weights of hpxformer_s12"):
        entries.of("hpxformer_s12")
    with pytest.raises(SpecError, match=r"MX831 there are no weights 'caformer_s19' .did you mean caformer_s18"):
        entries.of("caformer_s19")


def test_spread_is_that_of_a_sample() -> None:
    run = {"epoch": 1, "val_top1": 90.0, "test_loss": 0.1}
    three = tuple({**run, "seed": seed, "test_top1": top1} for seed, top1 in enumerate((97.0, 98.0, 99.0)))
    known = Entry.model_validate({**entry(FOREIGN).model_dump(), "runs": three})
    assert known.spread() == (98.0, 1.0)
    assert entry(FOREIGN).spread() == (0.0, 0.0)


def test_rows_are_filtered_and_sorted() -> None:
    found = rows(
        Wanted(family="MetaFormer", mixer="attention", max_params=30_000_000, min_top1=83.0, data="ImageNet-1k"), "macs"
    )
    assert [row.entry.spec for row in found] == ["caformer_s18", "hbaformer_s18", "hpxaformer_s18"]
    assert [row.params for row in found] == [26_341_656, 27_171_942, 27_928_674]
    best = rows(Wanted(mixer="sepconv", data="imagenet-1k"), "top1")
    assert best[0].entry.spec == "caformer_m36"
    scores = [row.top1.value if row.top1 else 0.0 for row in best]
    assert scores == sorted(scores, reverse=True)
    assert all(row.entry.shipped for row in rows(Wanted(shipped=True)))


def test_a_row_for_other_programs_is_complete() -> None:
    data = Row.of(entries.of("caformer_s18")).data()
    assert data["params"] == 26_341_656 and data["mixers"] == ["SepConv", "attention"]
    assert data["source"] == "hf://timm/caformer_s18.sail_in1k/model.safetensors" and not data["shipped"]
    assert data["metrics"][0]["provenance"] == "printed" and len(data["digest"]) == 64
