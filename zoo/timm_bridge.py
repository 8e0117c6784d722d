"""Every shipped spec as a model of timm: ``import mixspec.zoo.timm_bridge``, then ``timm.create_model(NAME)``.

Importing registers names and nothing else; a spec is read when its model is made. A name that timm already has stays
timm's, and ours is ``mixspec_NAME`` (``CLASHES`` lists them). ``timm.create_model("mixspec", spec=...)`` makes any
other network: from a name, a file, or a spec's keys. It is also how ``hf-hub:`` and ``local-dir:`` load what
:mod:`.timm_config` wrote.

Not there: TorchScript, ``output_stride``, and pooling other than the head's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import PretrainedCfg, build_model_with_cfg, generate_default_cfgs, register_model
from timm.models._features import FeatureGetterNet
from torch import Tensor, nn

from ..compiler import catalogue
from ..compiler.checked import changed
from ..compiler.errors import SpecError
from ..compiler.families.ensemble import Ensemble
from ..compiler.families.timm import Timm
from ..compiler.family import Family
from ..compiler.lower import lower
from ..compiler.parse import Spec, parse
from ..compiler.resolve import Network, resolve, sides
from . import entries
from .pretrained import weights_file
from .resample import resample
from .timm_config import ENTRYPOINT, pretrained_config
from .weights import header

PREFIX = f"{ENTRYPOINT}_"
"""Stands in front of our name where timm has a model of that name."""

Size = int | tuple[int, int]
Told = str | Path | Mapping[str, Any] | None
"""A spec: its shipped name, its file, or its keys."""


class Features(FeatureGetterNet):
    """Maps of the named levels, as a list. What stands behind the last of them is left out.

    ``return_layers`` is where transformers' ``TimmBackbone`` says by module which levels it wants.
    """

    model: Any
    out_indices: Any  # a list: the model has numbered the levels it keeps

    @property
    def return_layers(self) -> dict[str, str]:
        """The levels in use: their modules, and their numbers as text."""
        return {self.feature_info.info[index]["module"]: str(index) for index in self.out_indices}

    @return_layers.setter
    def return_layers(self, layers: Mapping[str, str]) -> None:
        places = [info["module"] for info in self.feature_info.info]
        self.out_indices = sorted(places.index(module) for module in layers)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep only the input of every block for backward and compute the rest again."""
        self.model.set_grad_checkpointing(enable)


@dataclass(frozen=True)
class Wanted:
    """What a caller of ``create_model`` asks for beside channels, classes and size; None is the spec's own."""

    global_pool: str | None = None
    drop_rate: float | None = None
    drop_path_rate: float | None = None
    device: torch.device | str | None = None
    dtype: torch.dtype | None = None


def create(
    variant: str,
    *,
    spec: Told = None,
    pretrained: bool = False,
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: dict[str, Any] | None = None,
    pretrained_model_args: dict[str, Any] | None = None,
    cache_dir: str | Path | None = None,
    features_only: bool = False,
    out_indices: int | Sequence[int] | None = None,
    feature_cls: Any = Features,
    num_classes: int | None = None,
    in_chans: int | None = None,
    img_size: Size | None = None,
    global_pool: str | None = None,
    drop_rate: float | None = None,
    drop_path_rate: float | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> nn.Module:
    """The network of a registered name, or of ``spec``, made as timm's ``create_model`` makes models.

    ``pretrained`` takes the published weights of the name. Raises SpecError for a wrong spec, wrong values and unknown
    weights.
    """
    told = read(variant, spec)
    network = resolve(told)
    wanted = Wanted(global_pool, drop_rate, drop_path_rate, device, dtype)
    given: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_chans, "img_size": img_size}
    if features_only:
        given |= {"features_only": True, "out_indices": default_levels(network) if out_indices is None else out_indices}
    config = _given(variant, pretrained_cfg) or {"architecture": variant, **pretrained_config(network)}
    if pretrained and not (pretrained_cfg or pretrained_cfg_overlay):
        config |= published(shipped(variant) if spec is None else spec)
    return build_model_with_cfg(
        partial(make, told, wanted),
        variant,
        pretrained,
        pretrained_cfg=config,
        pretrained_cfg_overlay=pretrained_cfg_overlay,
        pretrained_filter_fn=fitted,
        pretrained_model_args=pretrained_model_args,
        cache_dir=cache_dir,
        feature_cfg={"feature_cls": feature_cls, "flatten_sequential": True},
        **{key: value for key, value in given.items() if value is not None},
    )


def read(variant: str, spec: Told) -> Spec:
    """The spec that is given, or that of a name of ours in timm's registry. Raises SpecError."""
    if isinstance(spec, Mapping):
        return parse(json.dumps({"name": ENTRYPOINT, **spec}), "spec")
    if spec is None and variant == ENTRYPOINT:
        raise SpecError.of("MX103", "spec is missing", "spec=NAME, spec=FILE, or spec={'family': 'metaformer', ...}")
    return catalogue.load(str(spec or shipped(variant)))


def shipped(variant: str) -> str:
    """The name of the shipped spec behind one of our names in timm's registry."""
    return variant.removeprefix(PREFIX) if variant in CLASHES.values() else variant


def _given(variant: str, given: Any) -> dict[str, Any]:
    """The pretrained config of the caller, which names weights; empty without one. Raises SpecError for a tag."""
    if isinstance(given, str):
        raise SpecError.of("MX104", f"{variant} has no weights tagged {given!r}", f"{variant} without a tag")
    return dict(asdict(given) if is_dataclass(given) and not isinstance(given, type) else given or {})


def published(name: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """What timm needs to load the published weights of a shipped name. Raises SpecError where there are none."""
    if isinstance(name, Mapping):
        raise SpecError.of(
            entries.NONE_PUBLISHED, "no weights are published of a spec without a name", "pretrained_cfg={'file': FILE}"
        )
    file = weights_file(name)
    held = header(file)
    return {**pretrained_config(held.network, held.data), "file": str(file)}


def fitted(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Weights of one image size for another: what has a size is interpolated. timm fits channels and classes itself.

    Raises WeightsError for what cannot be interpolated.
    """
    config: Any = model.pretrained_cfg
    fits = {f"{path}.{end}" for key in ("first_conv", "classifier") for path in _each(config.get(key)) for end in ENDS}
    wanted = model.state_dict()
    sized = {
        key: value
        for key, value in state.items()
        if key in wanted and key not in fits and value.shape != wanted[key].shape
    }
    network = getattr(model, "resolved", None)
    return {**state, **resample(sized, network)} if sized and network else state


ENDS = ("weight", "bias")


def _each(paths: str | Sequence[str] | None) -> Sequence[str]:
    return (paths,) if isinstance(paths, str) else paths or ()


def make(
    told: Spec, wanted: Wanted, *, num_classes: int, in_chans: int, img_size: Size | Sequence[int] | None = None
) -> nn.Module:
    """The module with fresh weights, drawn from torch's own generator as timm's models are. Raises SpecError."""
    network = resolve(_adapted(told, wanted, num_classes, in_chans, img_size))
    device = wanted.device or torch.get_default_device()
    model: Any = lower(network, device=device, dtype=wanted.dtype)
    pool = None if wanted.global_pool == getattr(model, "global_pool", None) else wanted.global_pool
    if pool is not None or model.num_classes != num_classes:
        model.reset_classifier(num_classes, pool)
    return model


def _adapted(
    told: Spec, wanted: Wanted, num_classes: int, in_chans: int, img_size: Size | Sequence[int] | None
) -> Spec:
    """The spec with other classes, channels, image and rates. An ensemble is always made for classes."""
    family: Family = told.family
    rates = {"drop_path": wanted.drop_path_rate, "head_dropout": wanted.drop_rate}
    image = None if img_size is None else img_size if isinstance(img_size, int) else (img_size[0], img_size[1])
    if image and sides(image) == sides(told.about.image):
        image = None
    if isinstance(family, Ensemble):
        members = tuple(changed(member, **rates) for member in family.members)
        family = changed(family, members=members, classes=num_classes or None, in_chans=in_chans)
    else:
        family = changed(family, **rates, classes=num_classes, in_chans=in_chans)
    if image and isinstance(family, Timm):
        size = image if isinstance(image, int) else image[0]
        family = changed(family, options={**dict(family.options), "img_size": size})
    return Spec(changed(told.about, image=image), family, told.document)


def default_levels(network: Network) -> int | list[int]:
    """Levels that ``features_only`` gives unasked: all where the map shrinks, else the last three."""
    info = getattr(lower(network, device="meta"), "feature_info", [])
    return list(range(len(info))) if len({level["reduction"] for level in info}) > 1 else 3


def _weights() -> dict[str, str]:
    """The files of weights that ship, by the name of their spec, as the text of their entries has them."""
    found = {}
    for entry in sorted(entries.FOLDER.glob("*.yaml")):
        said = _said(entry, "spec", "source")
        if "spec" in said and not said.get("source", entries.HUB).startswith(entries.HUB):
            found[said["spec"]] = str(entries.WEIGHTS / said["source"])
    return found


def _said(file: Path, *keys: str) -> dict[str, str]:
    """Some keys of a YAML file of ours, which nothing but a pattern reads."""
    return dict(re.findall(rf"^({'|'.join(keys)}): (.+)$", file.read_text("utf-8"), flags=re.M))


def _input(file: Path, weights: Mapping[str, str]) -> dict[str, Any] | PretrainedCfg:
    """Input size, classes and weights of a shipped spec."""
    said = _said(file, "image", "in_chans", "classes")
    image = json.loads(said.get("image", "224"))
    height, width = sides(image if isinstance(image, int) else tuple(image))
    return {
        "input_size": (int(said.get("in_chans", 3)), height, width),
        "num_classes": int(said.get("classes", 1000)),
        "file": weights.get(file.stem),
    }


def _register(name: str) -> None:
    """Enter one of our names into timm's registry."""
    entry = partial(create, name)
    entry.__name__ = name  # type: ignore[attr-defined]
    entry.__module__ = __name__
    entry.__doc__ = f"The network of the spec {shipped(name)}; see mixspec.zoo.timm_bridge.create."
    globals()[name] = register_model(entry)


CLASHES = {name: PREFIX + name for name in catalogue.names() if timm.is_model(name)}
"""Our names that timm has too, and what ours are called in its registry."""

_files = _weights()
_inputs = {CLASHES.get(name, name): _input(catalogue.find(name), _files) for name in catalogue.names()}
default_cfgs = generate_default_cfgs({**_inputs, ENTRYPOINT: {}})

for _name in default_cfgs:
    _register(_name)
