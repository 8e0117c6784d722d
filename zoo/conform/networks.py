"""What holds of every network: timm's model contract, as timm's tests state it (timm 1.0, ``tests/test_models.py``).

Not asked for: TorchScript, which torch retires; and a gradient for weights that a spec freezes.
"""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ...compiler.errors import SpecError
from ...compiler.families.ensemble import Ensemble
from ...compiler.families.timm import Timm
from ...compiler.family import Family
from ...compiler.parse import Spec
from ...compiler.resolve import Network, placed, resolve, sides
from ..load import fresh
from ..timm_config import ENTRYPOINT, hub_config, pretrained_config, takes_any_size
from .check import Check
from .mixers import close

FEWEST_LEVELS = 3
CLASSES = 7


@dataclass(frozen=True)
class Subject:
    """A network, its module in evaluation mode, and two images."""

    network: Network

    @cached_property
    def model(self) -> Any:
        """The module; checks that change it take a copy."""
        return fresh(self.network).eval()

    @cached_property
    def config(self) -> dict[str, Any]:
        """timm's pretrained config."""
        return pretrained_config(self.network)

    def images(self, height: int | None = None, width: int | None = None) -> Tensor:
        """Always the same two."""
        at = self.network.at
        shape = (2, at.c, height or at.h, width or at.w)
        return torch.randn(shape, generator=torch.Generator().manual_seed(1))

    @property
    def whole(self) -> bool:
        """Whether it is a model of timm's own, whose ways of pruning and pooling are timm's affair."""
        return isinstance(self.network.family, Timm)


def reduced(spec: Spec) -> Network:
    """The network of one block in every stage (four where there is one stage) for the smallest image it takes, with few
    classes: what is wrong with the whole is wrong with it, and it takes seconds.
    """
    family = _shallow(spec.family).model_copy(update={"classes": CLASSES})
    for image in (64, 96, 128):
        if image >= min(sides(spec.about.image)) or isinstance(family, Timm):
            break
        try:
            return resolve(Spec(spec.about.model_copy(update={"image": image}), family, spec.document))
        except SpecError:
            continue
    return resolve(Spec(spec.about, family, spec.document))


def _shallow(family: Family) -> Family:
    if isinstance(family, Ensemble):
        return family.model_copy(update={"members": tuple(_shallow(member) for member in family.members)})
    if isinstance(family, Timm):
        return family
    blocks = 4 if len(family.depths) == 1 else 1
    update: dict[str, Any] = {"depths": tuple(min(depth, blocks) for depth in family.depths)}
    if hasattr(family, "blocks"):
        update["blocks"] = tuple((path, mixer) for path, mixer in family.blocks if int(path.split(".")[3]) < blocks)
    return family.model_copy(update=update)


@torch.no_grad()
def forward_gives_logits(subject: Subject) -> Iterator[str]:
    """Fresh weights in evaluation mode give finite logits, one row for every image.

    A branch that multiplies predictions with its input must start small: end it in a norm that starts at zero.
    """
    y = subject.model(subject.images())
    yield from _shape("logits", y, (2, subject.network.family.classes))
    if not y.isfinite().all():
        yield "logits are not finite"


@torch.no_grad()
def forward_is_features_then_head(subject: Subject) -> Iterator[str]:
    """forward is forward_head of forward_features, and pre_logits the vector in front of the classifier.

    Let forward call the two.
    """
    model, x = subject.model, subject.images()
    features = model.forward_features(x)
    if not torch.equal(model.forward_head(features), model(x)):
        yield "forward_head(forward_features(x)) is not forward(x)"
    yield from _shape("pre_logits", model.forward_head(features, pre_logits=True), (2, model.head_hidden_size))


@torch.no_grad()
def classifier_is_reset(subject: Subject) -> Iterator[str]:
    """reset_classifier gives other classes, the vector in front, or the unpooled map.

    The head's parts are called pool and fc, and its norms work on maps as well.
    """
    model, x, pool = copy.deepcopy(subject.model), subject.images(), subject.config["pool_size"]
    model.reset_classifier(3)
    yield from _shape("three classes", model(x), (2, 3))
    model.reset_classifier(0)
    yield from _shape("no classifier", model(x), (2, model.head_hidden_size))
    if pool and not subject.whole:
        model.reset_classifier(0, "")
        yield from _shape("no pooling", model(x), (2, model.head_hidden_size, *pool))


@torch.no_grad()
def levels_are_what_feature_info_says(subject: Subject) -> Iterator[str]:
    """Channels and strides of three or more levels are those of the maps, and strides do not fall.

    A network of fewer stages names its blocks: levels = "blocks".
    """
    model, x = subject.model, subject.images()
    info = model.feature_info
    last, maps = model.forward_intermediates(x)
    if len(info) < FEWEST_LEVELS or len(maps) != len(info):
        yield f"{len(info)} levels in feature_info, {len(maps)} maps, at least {FEWEST_LEVELS} wanted"
    strides = [level["reduction"] for level in info]
    if strides != sorted(strides):
        yield f"strides fall: {strides}"
    for level, each in zip(info, maps, strict=False):
        most = [math.ceil(side / level["reduction"]) + 1 for side in x.shape[2:]]
        if each.shape[1] != level["num_chs"] or each.shape[2] > most[0] or each.shape[3] > most[1]:
            yield f"{level['module']} gives {tuple(each.shape)}, not {level['num_chs']} channels on {most} at most"
        if not each.isfinite().all():
            yield f"{level['module']} gives values that are not finite"
        if not subject.whole:
            model.get_submodule(level["module"])
    if not torch.equal(last, model.forward_features(x)):
        yield "forward_intermediates ends in something else than forward_features"
    wanted = model.forward_intermediates(x, [0, -1], intermediates_only=True)
    if not (torch.equal(wanted[0], maps[0]) and torch.equal(wanted[1], maps[-1])):
        yield "levels 0 and -1 are not the first and the last map"


def pruning_leaves_no_unused_weight(subject: Subject) -> Iterator[str]:
    """Pruned to a level, the network gives the same map there and has no weight that does not learn.

    Weights behind a level belong to modules behind it.
    """
    model, x = copy.deepcopy(subject.model), subject.images()
    with torch.no_grad():
        expected = model.forward_intermediates(x, [1], intermediates_only=True)[0]
    take = model.prune_intermediate_layers([1])
    given = model.forward_intermediates(x, take, intermediates_only=True)[0]
    if not close(given, expected):
        yield "the map is another one"
    if not subject.whole:
        given.square().sum().backward()
        yield from _without_gradient(model)


def every_weight_learns(subject: Subject) -> Iterator[str]:
    """In training every weight that is not frozen gets a finite gradient.

    A weight that no output depends on is left out, or declared frozen.
    """
    model = copy.deepcopy(subject.model).train()
    y = model(subject.images())
    y = torch.cat([each.flatten(1) for each in y if isinstance(each, Tensor)], 1) if isinstance(y, tuple) else y
    y.square().mean().backward()
    yield from _without_gradient(model)


def _without_gradient(model: torch.nn.Module) -> Iterator[str]:
    for path, weight in model.named_parameters():
        if weight.requires_grad and weight.grad is None:
            yield f"{path} gets no gradient"
        elif weight.grad is not None and not weight.grad.isfinite().all():
            yield f"the gradient by {path} is not finite"


def checkpointing_changes_nothing(subject: Subject) -> Iterator[str]:
    """With gradient checkpointing outputs and gradients are the same.

    Blocks must compute the same twice.
    """
    found = []
    for enable in (False, True):
        model = copy.deepcopy(subject.model)
        try:
            model.set_grad_checkpointing(enable)
        except AssertionError:  # how timm's models say that they cannot
            if subject.whole:
                return
            raise
        y = model(subject.images())
        y.square().sum().backward()
        found.append([y.detach(), *(weight.grad for weight in model.parameters() if weight.grad is not None)])
    plain, again = found
    if len(plain) != len(again) or not all(close(a, b, 1e-4) for a, b in zip(again, plain, strict=True)):
        yield "outputs or gradients differ"


def state_dict_is_strict(subject: Subject) -> Iterator[str]:
    """A state dict gives the same outputs to the last bit, a missing weight is refused, and configured paths exist.

    Keep no tensors outside of parts.
    """
    model, x = subject.model, subject.images()
    state = model.state_dict()
    other = fresh(subject.network, seed=1).eval()
    other.load_state_dict(state, strict=True)
    with torch.no_grad():
        if not torch.equal(other(x), model(x)):
            yield "the same weights give other outputs"
    for key in ("first_conv", "classifier"):
        for path in _each(subject.config[key]):
            if f"{path}.weight" not in state:
                yield f"{key} {path} has no weight"


def layer_decay_covers_every_weight(subject: Subject) -> Iterator[str]:
    """Every weight belongs to one group of layers, and those exempt from weight decay exist.

    Parts are named stem, stages and head.
    """
    from timm.models import group_parameters

    model = subject.model
    names = {name for name, _ in model.named_parameters()}
    groups = group_parameters(model, model.group_matcher())
    grouped = [name for group in groups.values() for name in group]
    if sorted(grouped) != sorted(names):
        yield f"groups hold {len(grouped)} weights of {len(names)}"
    unknown = set(model.no_weight_decay()) - names if hasattr(model, "no_weight_decay") else set()
    if unknown and not subject.whole:
        yield f"no_weight_decay names {', '.join(sorted(unknown))}"


@torch.no_grad()
def other_sizes_run_where_said(subject: Subject) -> Iterator[str]:
    """A network for any size runs on larger images that are no squares; a fixed size is stated.

    traits say any_size only of weights that do not depend on the map, and check refuses other sizes.
    """
    height, width = subject.network.at.h, subject.network.at.w
    if takes_any_size(subject.network):
        larger = 2 * height, 2 * width + 32
        placed(subject.network, larger)
        yield from _shape("larger images", subject.model(subject.images(*larger)), (2, subject.network.family.classes))
    elif not subject.config["fixed_input_size"]:
        yield "the size is fixed, and the config does not say so"


@torch.no_grad()
def copies_give_the_same(subject: Subject) -> Iterator[str]:
    """Copies and pickles compute the same to the last bit.

    Keep no tensors or closures outside of parts.
    """
    model, x = subject.model, subject.images()
    expected = model(x)
    for name, other in (("copy", copy.deepcopy(model)), ("pickle", pickle.loads(pickle.dumps(model)))):
        if not torch.equal(other(x), expected):
            yield f"the {name} computes something else"


@torch.no_grad()
def timm_makes_it(subject: Subject) -> Iterator[str]:
    """timm.create_model makes it from config.json, as classifier and as features, with the same outputs.

    The spec must come back from its canonical form.
    """
    import timm

    from .. import timm_bridge

    config, model, x = hub_config(subject.network), subject.model, subject.images()
    options = {"spec": config["model_args"]["spec"], "pretrained_cfg": _weights(subject)}
    made = timm.create_model(ENTRYPOINT, **options, pretrained=True).eval()
    if not torch.equal(made(x), model(x)):
        yield "the classifier gives other outputs"
    features: Any = timm.create_model(ENTRYPOINT, **options, pretrained=True, features_only=True).eval()
    if not isinstance(features, timm_bridge.Features):
        yield f"features come from {type(features).__name__}"
    expected = model.forward_intermediates(x, features.out_indices, intermediates_only=True)
    if not all(close(a, b) for a, b in zip(features(x), expected, strict=True)):
        yield "features_only gives other maps"
    if features.feature_info.channels() != [each.shape[1] for each in expected]:
        yield "feature_info of features_only says other channels"


def _weights(subject: Subject) -> dict[str, Any]:
    return {**subject.config, "state_dict": subject.model.state_dict()}


def _shape(what: str, given: Tensor, wanted: Sequence[int]) -> Iterator[str]:
    if tuple(given.shape) != tuple(wanted):
        yield f"{what}: {tuple(given.shape)}, not {tuple(wanted)}"


def _each(paths: str | Sequence[str] | None) -> Sequence[str]:
    return (paths,) if isinstance(paths, str) else paths or ()


CHECKS: tuple[Check[Subject], ...] = (
    forward_gives_logits,
    forward_is_features_then_head,
    classifier_is_reset,
    levels_are_what_feature_info_says,
    pruning_leaves_no_unused_weight,
    every_weight_learns,
    checkpointing_changes_nothing,
    state_dict_is_strict,
    layer_decay_covers_every_weight,
    other_sizes_run_where_said,
    copies_give_the_same,
    timm_makes_it,
)
