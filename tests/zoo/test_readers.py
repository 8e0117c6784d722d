"""Every kind of data set, read from files that the tests write: which image has which class, whatever reads it."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest

from mixspec.compiler.errors import SpecError
from mixspec.zoo.training.data import Data, open_data
from mixspec.zoo.training.evaluate import Ranks, batches

from .written import CLASSES, COUNTS, INPUTS, KINDS, folder, png, shade, shades, whole


@pytest.mark.parametrize("kind", KINDS)
def test_every_image_comes_once_with_its_class(kind: str, made: Callable[[str], Data]) -> None:
    data = made(kind)
    assert data.classes == CLASSES
    for name, split in data.splits.items():
        assert len(split) == COUNTS[name]
        for workers in (0, 2) if name == "train" else (0,):
            found = whole(split, workers)
            assert sorted(shades(found)) == sorted((shade(name, index), index % 3) for index in range(COUNTS[name]))
            assert not any(batch.bad for batch in found)


@pytest.mark.parametrize("kind", KINDS)
def test_processes_share_the_images(kind: str, made: Callable[[str], Data], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each image in one of them, equally many batches in all."""
    monkeypatch.setattr("mixspec.zoo.training.evaluate.BATCH", 4)
    split = made(kind).splits["train"]
    parts = [whole(split, ranks=Ranks(rank, 4)) for rank in range(4)]
    assert {len(part) for part in parts} == {2}
    found = [one for part in parts for one in shades(part)]
    assert sorted(found) == sorted(shades(whole(split)))
    late = list(batches(split.samples(INPUTS), Ranks(1, 4), skip=1))
    assert [int(i) for batch in late for i in batch.indices] == [int(i) for i in parts[1][1].indices]


@pytest.mark.parametrize("kind", KINDS)
def test_digests_tell_data_apart_and_are_stable(kind: str, made: Callable[[str], Data]) -> None:
    data, again = made(kind), made(kind)
    assert data.fingerprint() == again.fingerprint()
    assert len({split.digest() for split in data.splits.values()}) == 3
    assert json.loads(json.dumps(data.fingerprint()))["splits"]["val"]["images"] == 7
    assert data.facts()["classes"] == list(CLASSES)


@pytest.mark.parametrize("kind", ["folder", "tar", "hfds"])
def test_a_source_survives_pickling_and_forks(kind: str, made: Callable[[str], Data]) -> None:
    """Where workers start anew, they get it by pickle; where they are forks, an open archive is not shared."""
    split = made(kind).splits["train"]
    before = shades(whole(split))
    assert shades(whole(split, workers=2)) == before
    assert shades(whole(pickle.loads(pickle.dumps(split)))) == before


def test_held_out_images_stay_on_their_side(tmp_path: Path) -> None:
    for index in range(60):
        place = tmp_path / ("ant", "bee")[index % 2] / f"{index}.png"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(png("train", index % 30))

    def names(split: str) -> set[str]:
        found = open_data(f"{tmp_path}?val=0.3").splits[split]  # type: ignore[index]
        return {found.pictures.filename(index) for index in range(len(found))}  # type: ignore[attr-defined]

    train, val = names("train"), names("val")
    assert not train & val and len(train | val) == 60 and 8 < len(val) < 30 and names("test") == val
    (tmp_path / "ant" / "new.png").write_bytes(png("train", 1))
    assert names("train") - {"ant/new.png"} == train and names("val") - {"ant/new.png"} == val
    everything = open_data(f"{tmp_path}?val=0")
    assert {len(split) for split in everything.splits.values()} == {61}
    usual = open_data(str(tmp_path))
    assert len(usual.splits["train"]) + len(usual.splits["val"]) == 61
    digest = usual.splits["train"].digest()
    file = tmp_path / usual.splits["train"].pictures.filename(0)  # type: ignore[attr-defined]
    file.write_bytes(file.read_bytes() + b"more")
    assert open_data(str(tmp_path)).splits["train"].digest() != digest


def test_the_splits_of_a_table_without_class_names_agree(tmp_path: Path) -> None:
    """Classes that are words get numbers in the order of the alphabet."""
    for split, words in (("train", ("wasp", "ant", None)), ("test", ("ant", "wasp", "owl"))):
        rows = [{"photo": {"bytes": png("train", at), "path": None}, "kind": word} for at, word in enumerate(words)]
        features = datasets.Features({"photo": datasets.Image(), "kind": datasets.Value("string")})
        datasets.Dataset.from_list(rows, features=features).to_parquet(str(tmp_path / f"{split}.parquet"))
    for reader in ("hfds", "hfids"):
        data = open_data(f"{reader}/{tmp_path}?label=kind&root={tmp_path}-cache" + "&val=0" * (reader == "hfds"))
        assert data.classes == ("ant", "wasp")
        train, test = whole(data.splits["train"]), whole(data.splits["test"])
        assert [label for _, label in shades(train)] == [1, 0] and [label for _, label in shades(test)] == [0, 1]
        assert [bad.reason for bad in train[0].bad] == ["no class: None"] == [bad.reason for bad in test[0].bad]


def cifar(root: Path) -> None:
    """CIFAR-10 as torchvision unpacks it, with few images; its check of digests is left out."""
    base = root / "cifar-10-batches-py"
    base.mkdir(parents=True)
    for name, first in [(f"data_batch_{at}", 4 * at) for at in range(1, 6)] + [("test_batch", 100)]:
        data = np.stack([np.full(3072, first + at, np.uint8) for at in range(4)])
        (base / name).write_bytes(pickle.dumps({"data": data, "labels": [(first + at) % 10 for at in range(4)]}))
    (base / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"class {at}" for at in range(10)]}))


def test_torchvision_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar(tmp_path)
    monkeypatch.setattr("torchvision.datasets.CIFAR10._check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5: True)
    data = open_data(f"torch/cifar10?root={tmp_path}&val=0.2")
    assert data.classes[3] == "class 3" and len(data.splits["train"]) + len(data.splits["val"]) == 20
    assert len(data.splits["test"]) == 4
    for batch in whole(data.splits["train"]):
        for (value, label), image in zip(shades([batch]), batch.images, strict=True):
            assert value % 10 == label and image.shape == (3, 8, 8)
    assert data.mean == (0.4914, 0.4822, 0.4465)
    monkeypatch.undo()
    with pytest.raises(SpecError, match=r"cifar100\?root=.*Dataset not found or corrupted"):
        open_data(f"torch/cifar100?root={tmp_path}")
    with pytest.raises(SpecError, match="torchvision has no data set 'cifar' here"):
        open_data("torch/cifar")


def test_torchvision_reads_a_folder_as_well(tmp_path: Path) -> None:
    data = open_data(f"torch/image_folder?root={folder(tmp_path)}")
    assert data.classes == CLASSES and len(data.splits["train"]) == 30 and len(data.splits["val"]) == 7
    assert sorted(shades(whole(data.splits["val"]))) == [(shade("val", index), index % 3) for index in range(7)]
