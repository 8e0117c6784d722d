"""What timm and its loaders want to know of a network: the pretrained config, and the ``config.json`` beside weights.

timm's layout (timm 1.0, ``timm/models/_hub.py``): a folder or a Hub repository with ``config.json`` and
``model.safetensors``. The architecture is one entry point for all our networks, ``mixspec``, and the spec stands among
its arguments, so that a network of which timm has never heard loads like any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..compiler.backbone import Backbone
from ..compiler.families.ensemble import Ensemble
from ..compiler.families.timm import Timm
from ..compiler.family import Family
from ..compiler.grid import Grid
from ..compiler.layer import walk
from ..compiler.lower import lower
from ..compiler.parts import Conv
from ..compiler.resolve import Network
from ..compiler.verify import verify
from .atomic import replacing
from .weights import canonical_text, network_of, save

ENTRYPOINT = "mixspec"
"""The architecture that ``config.json`` names: timm's name for any network, told by its spec."""

CONFIG, WEIGHTS = "config.json", "model.safetensors"
"""The two files of timm's layout."""

Paths = str | tuple[str, ...] | None
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def pretrained_config(network: Network, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The fields of timm's ``PretrainedCfg`` for a network.

    ``data`` is what a weights file says of the images it was trained on: ``mean`` and ``std`` (one number, or one for
    every channel), ``interpolation`` and ``crop_pct``.
    """
    family, at = network.family, network.at
    said = {key: data[key] for key in ("interpolation", "crop_pct") if key in data} if data else {}
    return {
        **(_foreign(family) if isinstance(family, Timm) else _own(family, at)),
        "input_size": (at.c, at.h, at.w),
        "fixed_input_size": not takes_any_size(network),
        "num_classes": family.classes,
        **{key: _by_channel((data or {}).get(key, default), at.c) for key, default in IMAGENET.items()},
        **said,
    }


def takes_any_size(network: Network) -> bool:
    """Whether the same weights run on larger images."""
    if isinstance(network.family, Timm):
        return not _foreign(network.family)["fixed_input_size"] and not network.family.replace
    at = network.at
    return not any(verify(network.family, Grid(2 * at.h, 2 * at.w, at.c)))


def _own(family: Family, at: Grid) -> dict[str, Any]:
    """Where image and classes are read, and the size of the last map; none where a class token stands beside it."""
    if isinstance(family, Ensemble):
        members = [_own(member, at) for member in family.voters()]
        joined = {key: _joined([member[key] for member in members], index) for index, key in enumerate(_PATHS)}
        sizes = {member["pool_size"] for member in members}
        return {**joined, "pool_size": sizes.pop() if len(sizes) == 1 else None}
    for layer in (family.stem(), *family.stages()):
        at = layer.out(at)
    tokens = getattr(family, "class_token", False)
    return {
        "first_conv": _first_conv(family),
        "classifier": "head.fc" if family.classes else None,
        "pool_size": None if tokens else (at.h, at.w),
    }


_PATHS = ("first_conv", "classifier")


def _joined(paths: list[Paths], index: int) -> Paths:
    found = tuple(f"members.{index}.{path}" for index, path in enumerate(paths))
    return found if all(isinstance(path, str) for path in paths) else None


def _first_conv(family: Family) -> str | None:
    """The convolution that reads the image; None where something else does, whose weights do not follow channels."""
    at = Grid(64 * 16, 64 * 16, family.in_chans)
    for place, layer in (("stem", family.stem()), ("stages.0", family.stages()[0])):
        for path, part, _ in walk(layer, at, place):
            if isinstance(part, Conv):
                return path if part.cin == family.in_chans else None
            if part.params():
                return None
    return None


def _foreign(family: Timm) -> dict[str, Any]:
    """What timm says of its own model, without where its weights lie."""
    import timm

    known = timm.get_pretrained_cfg(family.model)
    said = known.to_dict(remove_source=True) if known else {"fixed_input_size": False}
    return {key: value for key, value in said.items() if key not in ("architecture", "tag", "license")}


def _by_channel(value: float | list[float] | tuple[float, ...], channels: int) -> tuple[float, ...]:
    """One number for every channel; the mean of three where the image has another number of channels."""
    given = tuple(value) if isinstance(value, list | tuple) else (value,)
    return given if len(given) == channels else (sum(given) / len(given),) * channels


def hub_config(network: Network, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The content of ``config.json`` for a network and what its weights file says of its ``data``."""
    model: Any = lower(network, device="meta")
    family, pool = network.family, getattr(model, "global_pool", None)
    pooled = {"global_pool": pool} if isinstance(pool, str) and pool else {}
    labels = {"label_names": list(data["classes"])} if data and "classes" in data else {}
    return {
        "architecture": ENTRYPOINT,
        "num_classes": family.classes,
        "num_features": model.num_features,
        **pooled,
        "model_args": {
            "spec": json.loads(canonical_text(network)),
            "num_classes": family.classes,
            "in_chans": family.in_chans,
        },
        **labels,
        "pretrained_cfg": {key: _plain(value) for key, value in pretrained_config(network, data).items()},
        "mixspec": {"version": __version__, "spec_name": network.name, "spec_digest": network.digest},
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def config_text(network: Network, data: Mapping[str, Any] | None = None) -> str:
    """``config.json`` as it is written."""
    return json.dumps(hub_config(network, data), indent=2, ensure_ascii=False) + "\n"


def write_folder(model: Backbone, folder: str | Path, data: Mapping[str, Any] | None = None) -> None:
    """Write ``config.json`` and ``model.safetensors`` into a folder, which is made where it is missing.

    ``timm.create_model("local-dir:FOLDER", pretrained=True)`` then gives the same outputs to the last bit. Raises
    WeightsError for a model that is no longer what its spec says, OSError where the folder cannot be written.
    """
    folder = Path(folder)
    network = network_of(model)
    folder.mkdir(parents=True, exist_ok=True)
    save(model, folder / WEIGHTS, data=data)
    with replacing(folder / CONFIG) as temporary:
        temporary.write_text(config_text(network, data), "utf-8")
