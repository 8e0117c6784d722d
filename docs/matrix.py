"""Run every library that takes a network on a small network of every family: `python docs/matrix.py` writes
`consumers.md`.

Takes some minutes on one core; with `--check` nothing is written, and a page that is not current is an exit status.
Families and libraries can be named to run only those: `python docs/matrix.py --check resnet segmentation`.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "examples"))

from published import table  # noqa: E402

from mixspec.compiler.families import registry  # noqa: E402
from mixspec.compiler.lint.engine import lint  # noqa: E402
from mixspec.compiler.lower import lower  # noqa: E402
from mixspec.compiler.parse import parse  # noqa: E402
from mixspec.compiler.resolve import resolve  # noqa: E402
from mixspec.zoo.timm_config import write_folder  # noqa: E402

IMAGE = 64
STAGES = "depths: [1, 1, 1]\ndims: [16, 32, 48]\n"
FAMILIES = {
    "convnext": STAGES,
    "cvt": "depths: [1, 1, 1]\ndims: [64, 64, 64]\n",
    "ensemble": "members:\n"
    "  - {family: metaformer, depths: [1, 1, 1], dims: [8, 16, 24], mixers: Hpx}\n"
    "  - {family: metaformer, depths: [1, 1, 1], dims: [8, 16, 24], mixers: pooling}\n",
    "isotropic": "depths: [3]\nwidth: 64\npatch: 8\n",
    "metaformer": STAGES + "mixers: Hpx in stage 1, Hyena in stage 2, attention Ch=8 in stage 3\n",
    "resnet": "depths: [1, 1, 1]\nwidth: 8\nvariant: d\nmixers: CADAsp b=2 ca=3 agg=3 Ch=4\n",
    "resnet_cifar": "depths: [1, 1, 1, 1]\nwidth: 8\n",
    "san": "depths: [1, 1, 1]\ndims: [64, 64, 64]\nmixers: SAN k=3\n",
    "swin": "depths: [1, 2, 1]\ndims: [16, 32, 64]\nmixers: window window=4 Ch=8\n",
    "timm": "model: convnext_atto\nreplace: {stages.0.blocks.0.conv_dw: involution k=3 Ch=4}\n",
    "vgg": "depths: [1, 1, 1, 1, 1]\ndims: [8, 8, 16, 16, 16]\n",
}
"""A small network of every family; what a family's mixers can be is the affair of `mixspec conform`."""

PAGE = """# Who takes a network

## timm

```python
import timm
import mixspec.zoo.timm_bridge

model = timm.create_model("hpxaformer_s18", num_classes=5, drop_path_rate=0.1)
maps = timm.create_model("resnet50d_cadasp_k9_b128", features_only=True, out_indices=(1, 2, 3))
mine = timm.create_model("mixspec", spec="mine.yaml")
hub = timm.create_model("hf-hub:org/name", pretrained=True)  # or local-dir:FOLDER
```

The import registers a name for every shipped spec and reads none of them. Nine of the names are timm's too (`caformer_s18`, `resnet50`, ...): those stay timm's, and ours are `mixspec_caformer_s18` and so on, in `timm_bridge.CLASHES`. With the same weights both give the same features. `timm.list_models(module="timm_bridge")` lists them all, and with `pretrained=True` those whose weights ship; `create_model(NAME, pretrained=True)` takes published weights from elsewhere too (`mixspec zoo list`).

A folder or repository with `config.json` and `model.safetensors` (`mixspec push`, or `mixspec.zoo.timm_config.write_folder`) names the architecture `mixspec` and carries the spec among its arguments, so a network that timm has never heard of comes back to the last bit once the bridge is imported. Not there: TorchScript, `output_stride`, and pooling other than the head's own.

`mixspec conform NAME` checks a network against the assertions of timm's own model tests, and `mixspec conform MIXER` a token mixer, yours too.

## Files for other runtimes

`mixspec export SPEC_OR_WEIGHTS --to onnx --output FILE` (or `--to pt2`, a program of torch.export) writes the inference copy, for one image size and batches of any, runs the file and compares. Our own operators go as plain arithmetic: aggregation as sums of shifted maps, a convolution as large as the map by matrices of cosines and sines where that is less work than a depth-wise convolution. So neither mixspec nor a Fourier transform is needed where the file runs.

## Every family in every library

The code is in [examples](examples), a file for each library. `yes` says that it ran on a small network of the family: a step of training, maps or logits of the right shape, and for exported files outputs within 1e-4 of the network's, in onnxruntime for ONNX. Elsewhere stands the lint finding that says of the spec why not.

Written by `python docs/matrix.py`, with {versions}.

{table}
"""  # noqa: E501

PACKAGES = ("timm", "segmentation_models_pytorch", "torchvision", "transformers", "torch", "onnxruntime")


def text(family: str) -> str:
    """The spec of a family's small network."""
    return f"name: small_{family}\nfamily: {family}\nimage: {IMAGE}\nclasses: 5\n{FAMILIES[family]}"


def consumers() -> dict[str, Callable[[str, str], Any]]:
    """What each library does with a network: a function of timm's name for it, and of the spec's file."""
    import detection
    import features
    import segmentation
    import transformers_backbone as backbone

    return {
        "timm": lambda name, file: features.vector(name, IMAGE),
        "features_only": lambda name, file: features.maps(name, IMAGE),
        "segmentation (Unet)": lambda name, file: segmentation.step("Unet", name, IMAGE),
        "segmentation (UPerNet)": lambda name, file: segmentation.step("UPerNet", name, IMAGE),
        "detection (Faster R-CNN)": lambda name, file: detection.step(name, IMAGE),
        "transformers (backbone)": lambda name, file: backbone.maps(name, IMAGE),
        "transformers (classifier)": lambda name, file: backbone.logits(name, IMAGE),
        "torch.export": lambda name, file: features.exported(file, "pt2"),
        "ONNX": lambda name, file: features.exported(file, "onnx"),
    }


def cells(family: str, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[tuple[str, str]]:
    """Each library's name, and `yes` or why not."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"small_{family}.yaml"
        file.write_text(text(family))
        write_folder(lower(resolve(parse(text(family)))), folder)
        for name, consume in consumers().items():
            if wanted(name):
                yield name, cell(consume, f"local-dir:{folder}", str(file), family)


def cell(consume: Callable[[str, str], Any], name: str, file: str, family: str) -> str:
    """`yes`, or the lint finding that says why not. An error that lint does not explain is raised."""
    try:
        given = consume(name, file)
    except ValueError:
        found = [
            f"{one.code}: {one.what}" for one in lint(text(family), "<text>") if one.code.startswith(("MX208", "MX6"))
        ]
        if not found:
            raise
        return "; ".join(found)
    deviation = getattr(given, "deviation", 0.0)
    if not deviation <= 1e-4:
        raise ValueError(f"{family}: {file} deviates by {deviation}")
    return "yes"


def page(rows: dict[str, dict[str, str]]) -> str:
    """The page of all cells, by family and library."""
    heads = ("family", *next(iter(rows.values())))
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
    lines = ((f"`{family}`", *row.values()) for family, row in rows.items())
    return PAGE.format(table=table(heads, lines), versions=versions)


def main(arguments: list[str]) -> int:
    """Run what is named, or everything; write the page, or compare."""
    assert set(FAMILIES) == set(registry), "a family is missing here"
    words = [word for word in arguments if not word.startswith("-")]
    families = [word for word in words if word in FAMILIES] or list(FAMILIES)
    parts = [word for word in words if word not in FAMILIES]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = {}
        for family in families:
            rows[family] = dict(cells(family, lambda name: not parts or any(part in name for part in parts)))
            print(json.dumps({family: rows[family]}), flush=True)
    if words:
        return 0
    target, new = ROOT / "consumers.md", page(rows)
    if "--check" in arguments:
        return int(target.read_text("utf-8") != new)
    target.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
