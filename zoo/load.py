"""From a name to a model: a shipped spec or a file, with fresh weights or those of a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from ..compiler.backbone import Backbone
from ..compiler.catalogue import load as spec_of
from ..compiler.checked import changed
from ..compiler.lower import lower
from ..compiler.parse import Spec
from ..compiler.resolve import Network, placed, resolve
from . import entries
from .entries import Entry
from .pretrained import weights_file
from .resample import Reach, filled
from .weights import WRONG_TENSORS, Header, WeightsError, disagreements, fill, header
from .weights import load as load_file

__all__ = ["build", "load", "network"]

Image = int | tuple[int, int]


def build(
    name_or_path: str | Path,
    *,
    pretrained: bool | str | Path = False,
    seed: int = 0,
    image: Image | None = None,
    classes: int | None = None,
    in_chans: int | None = None,
    resample: Reach | None = None,
    device: torch.device | str = "cpu",
) -> Backbone:
    """The network of a shipped name or a spec file, as a module in training mode.

    Fresh weights follow from ``seed`` alone, on every device. ``pretrained`` asks for the weights that the zoo has of
    the network, or names others: a file, an entry of the zoo, an address on the Hub. Then ``image`` moves the trained
    network to another size, and another number of ``classes`` gives it a fresh classifier. ``resample`` interpolates
    what has a size, so that the weights fit the spec as it is for images of that size.
    Raises SpecError for a wrong spec, WeightsError for a wrong file.
    """
    if pretrained is True:
        entry = _entry(name_or_path)
        name_or_path, pretrained = (entry.spec if str(name_or_path) == entry.name else name_or_path), entry.name
    if not pretrained:
        return fresh(network(name_or_path, image=image, classes=classes, in_chans=in_chans), seed, device)
    file = weights_file(pretrained)
    held = header(file)
    trained = held.network
    if resample:
        wanted = network(name_or_path, image=image, classes=trained.family.classes, in_chans=in_chans)
        return _with_classes(filled(held, file, wanted, resample, device), classes, seed)
    stated = network(name_or_path, image=trained.about.image, classes=trained.family.classes, in_chans=in_chans)
    if stated.digest != trained.digest:
        what = f"{file} holds another network than {name_or_path}"
        raise WeightsError.of(WRONG_TENSORS, what, _differences(stated, held))
    return _with_classes(fill(moved(held, image, file), file, device), classes, seed)


def _entry(name_or_path: str | Path) -> Entry:
    """The zoo's weights for a spec, or those of that name. Raises SpecError."""
    name = str(name_or_path)
    if any(entry.name == name for entry in entries.every()):
        return entries.of(name)
    return entries.of(spec_of(name).about.name)


def load(weights: str | Path, device: torch.device | str = "cpu") -> Backbone:
    """The network in a weights file, in evaluation mode: a path, an entry of the zoo, or an address on the Hub.

    Raises WeightsError for a wrong file, SpecError for an unknown name, OSError.
    """
    return load_file(weights_file(weights), device)


def _with_classes(model: Backbone, classes: int | None, seed: int) -> Backbone:
    """The model in training mode, with a fresh classifier where the number of classes is another."""
    if classes is not None and classes != model.num_classes:
        with seeded(seed):
            model.reset_classifier(classes)
    return model.train()


def network(
    name_or_path: str | Path, *, image: Image | None = None, classes: int | None = None, in_chans: int | None = None
) -> Network:
    """The resolved spec of that name or in that file, with some of its keys replaced. Raises SpecError."""
    spec = spec_of(str(name_or_path))
    family = changed(spec.family, classes=classes, in_chans=in_chans)
    return resolve(Spec(changed(spec.about, image=image), family, spec.document))


def fresh(network: Network, seed: int = 0, device: torch.device | str = "cpu") -> Backbone:
    """The network with fresh weights, drawn on the CPU from ``seed``; torch's own generator stays where it is."""
    if torch.device(device).type == "meta":
        return lower(network, device=device)
    with seeded(seed):
        return lower(network).to(device)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw on the CPU from a generator that starts at ``seed``, and leave torch's as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def moved(held: Header, image: Image | None, file: Path) -> Network:
    """The trained network for images of another size. Raises SpecError where it or its weights do not fit."""
    if image is None:
        return held.network
    moved = replace(held.network, about=held.network.about.model_copy(update={"image": image}))
    placed(moved)
    if report := disagreements(moved, held.tensors, "file"):
        what = f"the weights of {file} do not fit images of {image} pixels: {report}"
        raise WeightsError.of(WRONG_TENSORS, what)
    return moved


def _differences(stated: Network, held: Header) -> str:
    """The keys in which two networks differ."""
    ours, theirs = stated.canonical(), held.network.canonical()
    keys = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    return f"{held.network.name}; they differ in {', '.join(keys)}"
