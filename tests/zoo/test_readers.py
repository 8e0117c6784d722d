"""Every kind of data set, read from files that the tests write: which image has which class, whatever reads it."""

from __future__ import annotations

import io
import json
import pickle
import random
import tarfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from mixspec.compiler.errors import SpecError
from mixspec.compiler.recipe import Recipe
from mixspec.zoo.training.data import AnySplit, Batch, Data, Inputs, Key, as_is, open_data
from mixspec.zoo.training.evaluate import ALONE, Ranks, batches
from mixspec.zoo.training.order import Order

CLASSES = ("ant", "bee", "cat")
INPUTS = Inputs((8, 8), 3, 0.0, 1.0)
COUNTS = {"train": 30, "val": 7, "test": 5}
RECIPE = Recipe(name="a", epochs=1, batch_size=4, lr=1e-3, scale=(0.5, 1.0), reprob=1.0)


def shade(split: str, index: int) -> int:
    return 8 * index + {"train": 0, "val": 1, "test": 2}[split]


def png(split: str, index: int) -> bytes:
    """An image that tells its split and number."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (shade(split, index),) * 3).save(file, "PNG")
    return file.getvalue()


def members(split: str) -> Iterator[tuple[str, bytes]]:
    """Path and content of each image, in no order: class by number in turn."""
    for index in random.Random(0).sample(range(COUNTS[split]), COUNTS[split]):
        yield f"{CLASSES[index % 3]}/{index:02d}.png", png(split, index)


def folder(root: Path) -> str:
    for split, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        for path, content in members(split):
            (root / name / path).parent.mkdir(parents=True, exist_ok=True)
            (root / name / path).write_bytes(content)
    (root / "train" / "ant" / "notes.txt").write_text("no image by its ending")
    return str(root)


def archive(path: Path, content: Iterator[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in content:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def tars(root: Path) -> str:
    for split in COUNTS:
        archive(root / f"{split}.tar", members(split))
    return f"{root}/train.tar?val={root}/val.tar&test={root}/test.tar"


def tar_folder(root: Path) -> str:
    tars(root)
    return str(root)


def parquet(root: Path) -> str:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))})
    (root / "data").mkdir()
    for split, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        rows = [{"image": {"bytes": png(split, index), "path": f"{index:02d}.png"}, "label": index % 3}
                for index in range(COUNTS[split])]  # fmt: skip
        table = datasets.Dataset.from_list(rows, features=features)
        for shard in range(3):
            table.shard(3, shard, contiguous=True).to_parquet(str(root / "data" / f"{name}-{shard}-of-3.parquet"))
    return str(root)


def hfds(root: Path) -> str:
    return f"hfds/{parquet(root)}?root={root}-cache"


def hfids(root: Path) -> str:
    return f"hfids/{parquet(root)}?root={root}-cache"


def samples_of(split: str, numbers: range) -> Iterator[tuple[str, bytes]]:
    for index in numbers:
        yield f"{index:02d}.png", png(split, index)
        yield f"{index:02d}.cls", str(index % 3).encode()


def wds(root: Path) -> str:
    info: dict[str, dict[str, object]] = {}
    for split, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        numbers = [range(start, min(start + 11, COUNTS[split])) for start in range(0, COUNTS[split], 11)]
        files = [archive(root / f"{name}-{at}.tar", samples_of(split, part)).name for at, part in enumerate(numbers)]
        info[name] = {"name": name, "num_samples": COUNTS[split], "filenames": files,
                      "shard_lengths": [len(part) for part in numbers]}  # fmt: skip
    (root / "_info.json").write_text(json.dumps({"splits": info, "class_names": CLASSES}))
    return f"wds/{root}"


def wds_by_name(root: Path) -> str:
    wds(root)
    (root / "_info.json").unlink()
    (root / "names.txt").write_text("\n".join(CLASSES))
    shards = "train=train-{0..2}.tar|30&val=validation-0.tar&test=test-0.tar"
    return f"wds/{root}?{shards}&classes={root}/names.txt"


KINDS: dict[str, Callable[[Path], str]] = {
    "folder": folder, "tar": tars, "folder of tars": tar_folder, "hfds": hfds, "hfids": hfids, "wds": wds,
    "wds by name": wds_by_name,
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Data]:
    """Each kind, written once."""
    places: dict[str, str] = {}

    def data(kind: str) -> Data:
        if kind not in places:
            places[kind] = KINDS[kind](tmp_path_factory.mktemp("data"))
        return open_data(places[kind])

    return data


def whole(split: AnySplit, workers: int = 0, ranks: Ranks = ALONE) -> list[Batch]:
    return list(batches(split.samples(INPUTS), ranks, workers))


def shades(found: list[Batch]) -> list[tuple[int, int]]:
    """Shade and class of each image."""
    return [(round(float(image.mean() * 255)), int(label))
            for batch in found for image, label in zip(batch.images, batch.labels, strict=True)]  # fmt: skip


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


@pytest.mark.parametrize("kind", ["hfids", "wds"])
def test_a_stream_follows_seed_and_epoch_and_goes_on(kind: str, made: Callable[[str], Data]) -> None:
    split = made(kind).splits["train"]
    samples = split.samples(INPUTS, RECIPE, seed=3)
    first = list(samples.keys(0))  # type: ignore[attr-defined]
    assert [key.index for key in first] == [key.index for key in split.samples(INPUTS, RECIPE, seed=3).keys(0)]  # type: ignore[attr-defined]
    assert sorted(key.index for key in first) == sorted(key.index for key in samples.keys(1))  # type: ignore[attr-defined]
    assert [key.index for key in first] != [key.index for key in samples.keys(1)]  # type: ignore[attr-defined]
    assert [key.index for key in first] != sorted(key.index for key in first)
    for rank in (0, 1):  # from the middle on, as the whole
        rest = samples.keys(0, 5, rank, 2)  # type: ignore[attr-defined]
        assert [key.index for key in rest] == [key.index for key in first[rank::2]][5:]
    wanted = samples.__getitems__(first)
    parts = [first[start : start + 7] for start in range(0, 30, 7)]
    loaded = DataLoader(samples, batch_sampler=parts, collate_fn=as_is, num_workers=2)  # type: ignore[arg-type]
    assert torch.equal(torch.cat([batch.images for batch in loaded]), wanted.images)
    again = samples.__getitems__(list(islice(samples.keys(1), 30)))  # type: ignore[attr-defined]
    place = {int(index): at for at, index in enumerate(again.indices)}
    assert any(not torch.equal(again.images[place[int(i)]], image)
               for i, image in zip(wanted.indices, wanted.images, strict=True))  # fmt: skip


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


def test_training_transforms_do_what_the_recipe_says(tmp_path: Path) -> None:
    """Each option alone changes the picture, and the order of keys does not."""
    (tmp_path / "ant").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "ant" / "a.png")
    split = open_data(f"{tmp_path}?val=0").splits["train"]

    def seen(channels: int = 3, **options: object) -> torch.Tensor:
        recipe = Recipe.model_validate({"name": "a", "epochs": 1, "batch_size": 2, "lr": 1e-3, **options})
        inputs = Inputs((16, 16), channels, 0.5, 0.25)
        return split.samples(inputs, recipe, 1).__getitems__([Key(0, 0, copy) for copy in range(4)]).images

    plain = seen()
    assert plain.shape == (4, 3, 16, 16) and torch.equal(plain[0], plain[3])
    torch.testing.assert_close(
        plain[:1], split.samples(Inputs((16, 16), 3, 0.5, 0.25)).__getitems__([Key(0, 0)]).images
    )
    for options in (
        {"scale": (0.2, 0.5)}, {"ratio": (0.5, 2.0)}, {"hflip": 0.5}, {"vflip": 0.5}, {"color_jitter": 0.4},
        {"aa": "rand-m9-n2-mstd0.5"}, {"aa": "ta_wide"}, {"aa": "augmix-m3-w3"}, {"aa": "original-mstd0.5"},
        {"reprob": 1.0}, {"reprob": 1.0, "remode": "const", "recount": 3}, {"train_crop_mode": "pad"},
        {"train_crop_mode": "rkrc"}, {"train_crop_mode": "rkrr", "train_interpolation": "random"},
        {"degrees": 20.0}, {"translate": 0.2}, {"zoom": (0.5, 2.0)},
    ):  # fmt: skip
        changed = seen(**options)
        assert changed.shape == plain.shape and changed.isfinite().all(), options
        assert not torch.equal(changed, plain), options
        assert len({image.numpy().tobytes() for image in changed}) > 1, options
        assert torch.equal(seen(**options), changed), options
    assert torch.equal(seen(hflip=1.0)[0], plain[0].flip(-1))
    grey = seen(channels=1, aa="rand-m9-n2", color_jitter=0.4, reprob=1.0, scale=(0.5, 1.0))
    assert grey.shape == (4, 1, 16, 16)


@pytest.mark.parametrize("kind", ["hfids", "wds"])
def test_training_shares_a_stream_as_it_shares_images(kind: str, made: Callable[[str], Data]) -> None:
    """Two processes read what one reads in two parts; an epoch goes on from any update, and begins anew at its end."""
    samples = made(kind).splits["train"].samples(INPUTS, RECIPE, seed=1)
    one, two = Order(30, 8, 2, 1, 1), Order(30, 8, 1, 2, 1)
    alone = [[key.index for key in slot] for slot in one.streamed(samples, 0, 0)]  # type: ignore[arg-type]
    both = [[[key.index for key in slot] for slot in two.streamed(samples, 0, rank)] for rank in (0, 1)]  # type: ignore[arg-type]
    assert alone == [slot for pair in zip(*both, strict=True) for slot in pair]
    assert len(alone) == 6 and len({index for slot in alone for index in slot}) == 24
    late = [[key.index for key in slot] for slot in one.streamed(samples, 0, 0, 2)]  # type: ignore[arg-type]
    assert late == alone[4:]
    longer = [key.index for slot in Order(32, 8, 1, 1, 1).streamed(samples, 0, 0) for key in slot]  # type: ignore[arg-type]
    assert longer[30:] == longer[:2] and len(set(longer)) == 30
