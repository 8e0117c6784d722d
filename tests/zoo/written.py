"""Data sets of every kind, written by tests: an image's shade tells its split and number."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
from PIL import Image

from mixspec.zoo.training.data import AnySplit, Batch, Inputs
from mixspec.zoo.training.evaluate import ALONE, Ranks, batches

CLASSES = ("ant", "bee", "cat")
INPUTS = Inputs((8, 8), 3, 0.0, 1.0)
COUNTS = {"train": 30, "val": 7, "test": 5}


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


def whole(split: AnySplit, workers: int = 0, ranks: Ranks = ALONE) -> list[Batch]:
    return list(batches(split.samples(INPUTS), ranks, workers))


def shades(found: list[Batch]) -> list[tuple[int, int]]:
    """Shade and class of each image."""
    return [(round(float(image.mean() * 255)), int(label))
            for batch in found for image, label in zip(batch.images, batch.labels, strict=True)]  # fmt: skip
