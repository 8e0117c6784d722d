"""Data sets that are damaged, incomplete or not there: said in one line, or an image is left out by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mixspec.compiler.errors import SpecError
from mixspec.zoo.training.data import open_data

from .written import archive, members, png, shades, wds, whole


def test_what_is_damaged_or_missing_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.tar").write_bytes(b"no archive" * 200)
    archive(tmp_path / "none.tar", iter([("a/notes.txt", b"text")]))
    good = archive(tmp_path / "good.tar", members("train"))
    (tmp_path / "half.tar").write_bytes(good.read_bytes()[: good.stat().st_size // 2 + 100])
    (tmp_path / "odd" / "train" / "ant").mkdir(parents=True)
    (tmp_path / "odd" / "val" / "owl").mkdir(parents=True)
    for place in ("train/ant", "val/owl"):
        (tmp_path / "odd" / place / "a.png").write_bytes(png("train", 0))
    cases = {
        str(tmp_path / "empty"): "no images in",
        str(tmp_path / "bad.tar"): "is no tar archive, or a damaged one",
        str(tmp_path / "half.tar"): "half.tar is cut off",
        str(tmp_path / "none.tar"): "no images in",
        str(tmp_path / "odd"): "val has classes that the first split has not: owl",
        f"{tmp_path}/good.tar?val=2": "val=2 .at least 0, less than 1",
        f"{tmp_path}/good.tar?vol=2": "tar has no option 'vol' .did you mean val",
        f"{tmp_path}/good.tar?val=1e-9": "val=1e-09 leaves a split without images",
        f"hfds/{tmp_path}/nope": "Couldn't find|doesn't exist|no such",
        f"hfds/{tmp_path}?root={tmp_path}/cache": "lies in the data",
        f"wds/{tmp_path}/nope": "there is no such folder",
        f"wds/{tmp_path}/empty": "no shards",
        f"wds/{tmp_path}?train=good.tar": "its classes are not told",
    }
    for text, message in cases.items():
        with pytest.raises(SpecError, match=message) as caught:
            open_data(text)
        assert len(str(caught.value).splitlines()) == 1 and str(caught.value).startswith("MX814"), text
        assert str(caught.value).count("MX814") == 1, text


def test_a_damaged_shard_costs_its_rest_and_is_named(tmp_path: Path) -> None:
    wds(tmp_path)
    shard = tmp_path / "train-1.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[: 512 * 2 * 2 * 5 + 600])  # in the sixth sample
    (batch,) = whole(open_data(f"wds/{tmp_path}").splits["train"])
    found = {value // 8 for value, _ in shades([batch])}
    assert {*range(11), *range(11, 15), *range(22, 30)} <= found <= {*range(30)} and not found & {17, 18, 19, 20, 21}
    (bad, *_) = (one for one in batch.bad if "lost" in one.reason)
    assert bad.name == str(shard) and bad.reason.endswith("what follows in this archive is lost")
    shard.write_bytes(content[: 512 * 2 * 2 * 5])  # between two samples
    (batch,) = whole(open_data(f"wds/{tmp_path}").splits["train"])
    assert [bad.reason for bad in batch.bad] == ["cut off; what followed in this archive is lost"]
    assert len(shades([batch])) == 30 - 6


def test_samples_without_image_or_class_are_named(tmp_path: Path) -> None:
    content = [("0.png", png("train", 0)), ("0.cls", b"0"), ("1.cls", b"1"), ("2.png", png("train", 2)),
               ("3.png", png("train", 3)), ("3.cls", b"7"), ("4.png", b"text"), ("4.cls", b"2")]  # fmt: skip
    archive(tmp_path / "a.tar", iter(content))
    (batch,) = whole(open_data(f"wds/{tmp_path}?train=a.tar&classes=3").splits["train"])
    assert shades([batch]) == [(0, 0)]
    reasons = {bad.name.rpartition(" ")[2]: bad.reason for bad in batch.bad}
    assert reasons["1"].startswith("no image among its members: cls") and reasons["2"].startswith("no class")
    assert (reasons["3"], reasons["4"]) == ("class 7 of 3", "no image")
