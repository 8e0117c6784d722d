"""Files that are no images, or images of an unusual kind: what becomes of each, and that nothing else changes."""

from __future__ import annotations

import importlib
import io
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import spoilt
import torch
from PIL import Image
from torch.utils.data import DataLoader

from mixspec.compiler.errors import SpecError
from mixspec.compiler.parse import parse
from mixspec.compiler.recipe import Recipe
from mixspec.compiler.resolve import resolve
from mixspec.zoo.training.data import Bad, Batch, Inputs, Key, as_is, open_data
from mixspec.zoo.training.data.bad_images import BadImages
from mixspec.zoo.training.data.decode import MOST_PIXELS, BadImage, decode
from mixspec.zoo.training.data.files import Files
from mixspec.zoo.training.loop import train
from mixspec.zoo.training.settings import Settings
from mixspec.zoo.training.watch import Watch

from .conftest import TINY

INPUTS = Inputs((spoilt.SIDE, spoilt.SIDE), 3, 0.0, 1.0)
SAID = {
    "empty file": "empty file",
    "text with an image's ending": "no image",
    "cut-off PNG": "damaged: ",
    "cut-off JPEG": "damaged: ",
    "PNG with changed bytes": "damaged: ",
    "PNG of a gigapixel": "32000 x 32000: more than|more than 178,956,970 pixels",
    "strip of 2 x 3000 pixels": "2 x 3000: one side over 100 times",
    "floating-point TIFF": "floating-point pixels",
    "32-bit TIFF": "32-bit pixels",
    "file that vanished": "no such file",
    "file without permission to read": "permission denied",
    "pipe": "no regular file",
}


@contextmanager
def nobody() -> Iterator[None]:
    """As a user without rights, where the tests run as one who may read everything."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of twelve good images, in which every kind of bad file is strewn."""
    root = tmp_path_factory.mktemp("strewn")
    for parent in (root, *root.parents):
        if parent.stat().st_uid == os.geteuid() and parent.stat().st_mode & 0o777 == 0o700:
            parent.chmod(0o755)
    for name in ("left", "right"):
        (root / name).mkdir()
        for index in range(12):
            shade = 10 * index + 100 * (name == "right")
            Image.new("RGB", (24, 24), (shade, shade, shade)).save(root / name / f"{index:02d}_good.png")
    for index, (ending, make) in enumerate(spoilt.BAD.values()):
        make(root / ("left", "right")[index % 2] / f"{index:02d}_bad.{ending}")
    return root


def split(folder: Path) -> Files:
    found = open_data(f"{folder}?val=0").splits["train"]
    assert isinstance(found, Files)
    return found


def test_the_kinds_are_those_of_the_table() -> None:
    assert set(SAID) == set(spoilt.BAD)


@pytest.mark.parametrize("kind", spoilt.BAD)
def test_a_bad_file_is_left_out_and_named(kind: str, tmp_path: Path) -> None:
    ending, make = spoilt.BAD[kind]
    (tmp_path / "a").mkdir()
    make(tmp_path / "a" / f"x.{ending}")
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == 0 and parent.stat().st_mode & 0o777 == 0o700:
            parent.chmod(0o755)
    with nobody():
        batch = split(tmp_path).samples(INPUTS).__getitems__([Key(0, 0)])
    (bad,) = batch.bad
    assert batch.images.shape == (0, 3, 24, 24) and len(batch.labels) == len(batch.indices) == 0
    assert bad.index == 0 and bad.name == f"a/x.{ending}"
    assert any(bad.reason.startswith(words) for words in SAID[kind].split("|")), bad.reason
    assert len(bad.reason.splitlines()) == 1


@pytest.mark.parametrize("kind", spoilt.READ)
def test_an_unusual_image_is_read_as_it_looks(kind: str, tmp_path: Path) -> None:
    ending, make, grey = spoilt.READ[kind]
    make(tmp_path / f"x.{ending}")
    with (tmp_path / f"x.{ending}").open("rb") as stream:
        found = decode(stream)
    assert found.mode == "RGB" and found.size == (24, 24)
    wanted = np.repeat(spoilt.GREY[..., None], 3, 2) if grey else spoilt.PIXELS
    off = np.abs(np.asarray(found).astype(int) - wanted)
    assert off.max() <= (16 if ending in ("gif", "jpg", "webp") or "palette" in kind or "wrong" in kind else 1)


def test_no_label_moves_and_no_image_stands_for_another(folder: Path) -> None:
    """Every good image comes once with the label of its folder; the bad ones do not come at all."""
    files = split(folder)
    with nobody():
        batch = files.samples(INPUTS).__getitems__([Key(0, index) for index in range(len(files))])
    assert len(batch.bad) == len(spoilt.BAD) and len(batch.labels) == 24
    for image, label, index in zip(batch.images, batch.labels, batch.indices, strict=True):
        name = files.pictures.filename(int(index))
        assert name.endswith("_good.png") and name.startswith(("left", "right")[int(label)])
        shade = 10 * int(name.split("/")[1][:2]) + 100 * int(label)
        assert image.mean() * 255 == pytest.approx(shade, abs=0.01)


def images(batches: list[Batch]) -> dict[int, torch.Tensor]:
    return {int(index): image for batch in batches for image, index in zip(batch.images, batch.indices, strict=True)}


def test_workers_batches_and_order_change_nothing(folder: Path) -> None:
    """Augmented images are equal bit by bit, and the same are left out."""
    recipe = Recipe(
        name="a", epochs=1, batch_size=8, lr=1e-3, scale=(0.3, 1.0), hflip=0.5, aa="rand-m9-n2-mstd0.5", reprob=0.5
    )
    samples = split(folder).samples(INPUTS, recipe, seed=5)
    keys = [Key(3, index) for index in range(len(samples))]
    mixed = random.Random(0).sample(keys, len(keys))
    alone = [samples.__getitems__([key]) for key in keys]
    ways = [
        [keys[start : start + 7] for start in range(0, len(keys), 7)],
        [mixed[start : start + 5] for start in range(0, len(keys), 5)],
    ]
    for workers, way in zip((0, 2), ways, strict=True):
        torch.manual_seed(workers)
        batches = list(DataLoader(samples, batch_sampler=way, collate_fn=as_is, num_workers=workers))  # type: ignore[arg-type]
        assert [len(batch.labels) + len(batch.bad) for batch in batches] == [len(part) for part in way]
        assert {bad for batch in batches for bad in batch.bad} == {bad for batch in alone for bad in batch.bad}
        first, second = images(alone), images(batches)
        assert first.keys() == second.keys() and all(torch.equal(first[index], second[index]) for index in first)
    again = samples.__getitems__([keys[1]]).images
    assert torch.equal(again, alone[1].images)
    assert not torch.equal(samples.__getitems__([Key(4, 1)]).images, again)
    assert not torch.equal(samples.__getitems__([Key(3, 1, 1)]).images, again)


def test_the_log_counts_each_image_once_and_goes_on(tmp_path: Path) -> None:
    one, two, three = (Bad(index, f"{index}, a\n.png", "no image") for index in range(3))
    log = BadImages(tmp_path, most=2)
    log.seen([two])
    log.seen([one, two])
    assert len(log) == 2 and log.file is not None
    text = log.file.read_bytes()
    assert text.splitlines()[0] == b"index,name,reason"
    again = BadImages(tmp_path, most=2)
    again.seen([one])
    assert log.file.read_bytes() == text and again.all() == {one, two}
    with pytest.raises(SpecError, match=r"MX815 3 bad images, more than max_bad_images allows \(2\): 0, a"):
        again.seen([three])
    assert len(BadImages(tmp_path, most=9)) == 3  # the one too many is in the file as well


def test_the_limit_is_on_all_processes_together(tmp_path: Path) -> None:
    first, second = BadImages(tmp_path, 1), BadImages(tmp_path, 1, rank=1)
    first.seen([Bad(0, "a", "no image")])
    second.seen([Bad(0, "a", "no image")])  # the same one
    with pytest.raises(SpecError, match="2 bad images"):
        second.seen([Bad(1, "b", "no image")])
    assert {path.name for path in tmp_path.iterdir()} == {"bad-images.csv", "bad-images.1.csv"}
    BadImages(None, 1).seen([Bad(0, "a", "no image")])  # without a folder in memory
    with pytest.raises(SpecError, match="1 bad image, more than max_bad_images allows"):
        BadImages(None, 0).seen([Bad(0, "a", "no image")])


def test_a_full_table_of_open_files_is_no_bad_image(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, mode: str) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="Too many open files"):
        split(folder).samples(INPUTS).__getitems__([Key(0, 0)])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"])
def test_changed_bytes_never_stop_anything(kind: str) -> None:
    """Whatever is changed in a file, it is read or it is a bad image."""
    whole, chance = spoilt.saved(kind), random.Random(0)
    read = 0
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 12)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        try:
            image = decode(io.BytesIO(content[: chance.randint(1, len(content))] if chance.random() < 0.3 else content))
            assert image.mode == "RGB" and 0 < image.width * image.height <= MOST_PIXELS
            read += 1
        except BadImage as error:
            assert len(str(error).splitlines()) == 1
    assert read < 60


def test_the_table_of_the_page_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    monkeypatch.syspath_prepend(str(docs))
    assert importlib.import_module("bad_data").main(["--check"]) == 0


class Heard(Watch):
    def __init__(self) -> None:
        self.said: list[str] = []

    def says(self, line: str) -> None:
        self.said.append(line)


def pictures(root: Path, bad: dict[str, int]) -> Path:
    """Two classes in train and val, with so many files in each split that are no images."""
    for part, count in bad.items():
        for shade, name in ((0, "dark"), (200, "light")):
            (root / part / name).mkdir(parents=True)
            for index in range(4):
                Image.new("L", (8, 8), shade + index).save(root / part / name / f"{index}.png")
        for index in range(count):
            (root / part / "dark" / f"{part}{index}.png").write_bytes(b"text")
    return root


@pytest.mark.parametrize("workers", [0, 1])
def test_a_training_names_bad_images_of_every_split_once(tmp_path: Path, workers: int) -> None:
    network = resolve(parse(TINY.replace("classes: 10", "classes: 2")))
    data = open_data(str(pictures(tmp_path / "data", {"train": 1, "val": 1})))
    recipe = Recipe(name="a", epochs=2, batch_size=4, lr=1e-3, max_bad_images=2)
    heard = Heard()
    train(network, recipe, data, tmp_path / "run", settings=Settings(workers=workers), watch=heard)
    names = [f"dark/{part}0.png" for part in ("train", "val")]
    assert heard.said == [f"WARNING: {name} is left out: no image" for name in names]
    rows = (tmp_path / "run" / "bad-images.csv").read_text().splitlines()[1:]
    assert [row.split(",")[1] for row in rows] == names
    with pytest.raises(SpecError, match=r"MX815 2 bad images, more than max_bad_images allows \(1\): dark/train0"):
        train(network, recipe.model_copy(update={"max_bad_images": 1}), data, tmp_path / "second")


def test_one_class_alone_is_nothing_to_learn(tmp_path: Path) -> None:
    """So it is where a folder of images is named, or a folder of one class, and not the folder above."""
    data = open_data(str(pictures(tmp_path / "data", {"train": 0}) / "train" / "dark"))
    network = resolve(parse(TINY.replace("classes: 10", "classes: 1")))
    with pytest.raises(SpecError, match=r"MX812 .*dark has one class, nothing to learn .a folder holds one"):
        train(network, Recipe(name="a", epochs=1, batch_size=4, lr=1e-3), data, tmp_path / "run")
    assert not (tmp_path / "run").exists()
