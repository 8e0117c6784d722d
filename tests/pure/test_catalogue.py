"""Specs are found by name or path, or come from standard input."""

import io
import sys
from pathlib import Path

import pytest

from mixspec.compiler.catalogue import FOLDER, OTHERS, find, load, names
from mixspec.compiler.errors import SpecError

TEXT = "name: small\nfamily: metaformer\ndepths: [1, 1, 1, 1]\ndims: [8, 16, 24, 32]\nmixers: SepConv\n"


class Stdin:
    """Standard input that holds these bytes."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)


def complaint(name: str) -> str:
    with pytest.raises(SpecError) as caught:
        load(name)
    return str(caught.value)


def test_names_are_sorted_unique_file_names_without_recipes() -> None:
    assert names() == sorted(set(names()))
    assert "caformer_s18" in names()
    assert not {file.stem for file in (FOLDER / "recipes").glob("*.yaml")} & set(names())


def test_no_name_is_given_to_two_files() -> None:
    files = [file for file in FOLDER.rglob("*.yaml") if file.parent.name not in OTHERS]
    assert len(files) == len(names())


@pytest.mark.parametrize("name", names())
def test_a_shipped_spec_is_named_as_its_file(name: str) -> None:
    assert load(name).about.name == name


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(TEXT, encoding="utf-8")
    assert find(str(file)) == file
    assert load(str(file)).about.name == "small"


def test_a_file_in_this_folder_wins_over_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "caformer_s18").write_text(TEXT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load("caformer_s18").about.name == "small"


def test_a_folder_of_that_name_does_not_hide_a_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "caformer_s18").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load("caformer_s18").about.name == "caformer_s18"


def test_unknown_names() -> None:
    assert complaint("caformer_s81").startswith("MX001 there is no model 'caformer_s81' (did you mean caformer_s18")
    assert "a file, or one of the" in complaint("zzz")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "\0", "a" * 5000, "no/such/file", "nosuch.yaml", "~"], ids=lambda name: repr(name)[:9]
)
def test_impossible_names_are_complaints(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "MX001" in complaint(name) and len(complaint(name)) < 200


def test_a_folder_is_no_spec(tmp_path: Path) -> None:
    assert "this is a folder" in complaint(str(tmp_path))


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(TEXT.encode()))
    assert load("-").about.name == "small"
    monkeypatch.setattr(sys, "stdin", Stdin(TEXT.replace("SepConv", "SepConf").encode()))
    assert complaint("-").startswith("<stdin>:5:9: MX104 unknown mixer 'SepConf' (did you mean SepConv")


@pytest.mark.parametrize("content", [b"", b"\n", b"# nothing\n", b"\xff\xfe", b"\0", b"- a\n", b"x" * 300_000])
def test_standard_input_that_is_no_spec(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(content))
    assert all(line.startswith("<stdin>:1:") for line in complaint("-").splitlines())
