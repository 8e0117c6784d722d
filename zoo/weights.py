"""One safetensors file for one network: its weights, its spec, and how it was trained.

The header carries the spec in canonical form and its digest, so a file rebuilds its own network, and is refused from
the header alone, before any tensor is read, when digest, spec and shapes do not agree. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch

from .. import __version__
from ..compiler.backbone import Backbone
from ..compiler.lower import lower
from ..compiler.parse import parse
from ..compiler.resolve import Network, digest_of, resolve
from .atomic import replacing
from .disagreement import Disagreement, Tensors, described
from .tensorfile import TENSORS_DIGEST, WRONG_DIGEST, WeightsError, contents, infinite, read, refused, write

__all__ = [
    "WRONG_DIGEST",
    "Disagreement",
    "Facts",
    "Header",
    "WeightsError",
    "canonical_text",
    "disagreements",
    "fill",
    "from_canonical",
    "header",
    "load",
    "network_of",
    "read",
    "save",
]

NO_SPEC, WRONG_TENSORS, NOT_SAVED = "MX802", "MX804", "MX805"

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Header:
    """What a weights file says before any tensor is read."""

    network: Network
    digest: str
    generator: str
    tensors: Tensors = field(repr=False)
    metrics: Facts
    recipe: Facts
    data: Facts
    """The data set's name, its classes and how its images are prepared."""
    recipe_digest: str = ""
    """SHA-256 of the recipe; empty without one."""
    tensors_sha256: str = ""
    """SHA-256 of the tensors, which :func:`read` compares; empty in files of versions that did not write it."""


def canonical_text(network: Network) -> str:
    """The canonical form with the network's name, as JSON. It is a spec: :func:`from_canonical` reads it back."""
    return json.dumps({"name": network.name, **network.canonical()}, sort_keys=True)


def from_canonical(text: str, source: str = "<header>") -> Network:
    """The network that :func:`canonical_text` wrote down. Raises SpecError."""
    return replace(resolve(parse(text, source)), document=None)


def save(
    model: Backbone,
    path: str | Path,
    *,
    metrics: Facts | None = None,
    recipe: Facts | None = None,
    data: Facts | None = None,
) -> None:
    """Write the model's weights with its spec into one file, at once or not at all.

    ``metrics``, ``recipe`` and ``data`` are plain values for the header. Raises WeightsError for a model that is no
    longer what its spec says (pruned, wrapped, on ``meta``) or whose weights are not finite, OSError where the file
    cannot be written.
    """
    path = Path(path)
    network = network_of(model)
    state = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    if any(tensor.is_meta for tensor in state.values()):
        raise WeightsError.of(NOT_SAVED, "a model on the meta device has no weights", "build it on cpu", ())
    if report := disagreements(network, described(state), "model"):
        raise WeightsError.of(NOT_SAVED, f"the model is no longer what its spec says: {report}")
    if bad := infinite(state):
        raise WeightsError.of(NOT_SAVED, bad)
    facts = {
        "format": "pt",
        "generator": f"mixspec {__version__}",
        "spec_name": network.name,
        "spec_digest": network.digest,
        "spec": canonical_text(network),
        **{key: _plain(value) for key, value in (("metrics", metrics), ("recipe", recipe), ("data", data)) if value},
    }
    if recipe:
        facts["recipe_digest"] = recipe_digest(recipe)
    with replacing(path) as temporary:
        write(temporary, state, facts)


def network_of(model: Backbone) -> Network:
    """The network a model is, a new classifier included. Raises WeightsError for a bare family."""
    network = model.resolved
    if network is None:
        raise WeightsError.of(NOT_SAVED, "the model was built without a spec", "use mixspec.build or lower(network)")
    if model.num_classes == network.family.classes:
        return network
    return replace(network, family=network.family.model_copy(update={"classes": model.num_classes}))


def recipe_digest(recipe: Facts) -> str:
    """SHA-256 of a recipe as it stands in a header."""
    return digest_of(json.loads(_plain(recipe)))


def _plain(value: Facts) -> str:
    return json.dumps(dict(value), allow_nan=False)


def header(path: str | Path) -> Header:
    """What the file says of itself; no tensor is read.

    Raises WeightsError where the file is damaged, or where spec, digest and shapes disagree; OSError where it cannot
    be opened.
    """
    path = Path(path)
    found = contents(path)
    facts, tensors = found.facts, found.tensors
    if "spec" not in facts or "spec_digest" not in facts:
        raise refused(path, NO_SPEC, "no spec in the header", "a file written by mixspec.save carries one")
    network = _network(path, facts)
    if report := disagreements(network, tensors, "file"):
        raise refused(path, WRONG_TENSORS, f"not the weights of {network.name}: {report}")
    metrics, recipe, data = (_facts(path, facts, key) for key in ("metrics", "recipe", "data"))
    about = (facts["spec_digest"], facts.get("generator", ""), tensors)
    digests = (_recipe_digest(path, facts, recipe), facts.get(TENSORS_DIGEST, ""))
    return Header(network, *about, metrics, recipe, data, *digests)


def _recipe_digest(path: Path, facts: Mapping[str, str], recipe: Facts) -> str:
    """The recipe's digest, which is the one the header claims if it claims one."""
    digest = recipe_digest(recipe) if recipe else ""
    claimed = facts.get("recipe_digest", digest)
    if claimed != digest:
        what = f"the header's recipe has digest {digest[:12] or 'none'}, not {claimed[:12]} as it claims"
        raise refused(path, WRONG_DIGEST, what, "the file was changed after it was written")
    return digest


def _network(path: Path, facts: Mapping[str, str]) -> Network:
    """The network of a header whose spec has the digest it claims and still means what it meant."""
    spec = parse(facts["spec"], f"{path} (header)")
    written = dict(cast(dict[str, Any], spec.document.data))
    del written["name"]
    digest = digest_of(written)
    if digest != facts["spec_digest"]:
        what = f"the header's spec has digest {digest[:12]}, not {facts['spec_digest'][:12]} as it claims"
        raise refused(path, WRONG_DIGEST, what, "the file was changed after it was written")
    network = replace(resolve(spec), document=None)
    if changed := next(_changes(written, network.canonical()), None):
        what = f"the spec of {network.name} no longer means what it meant when the file was written: {changed}"
        raise refused(path, WRONG_DIGEST, what, f"the file was written by {facts.get('generator', 'another version')}")
    return network


def _changes(written: Any, meant: Any, path: str = "") -> Iterator[str]:
    """Places where a value that was written is another now; what is new since has its default."""
    if isinstance(written, dict) and isinstance(meant, dict):
        for key, value in written.items():
            yield from _changes(value, meant.get(key), f"{path}.{key}" if path else key)
    elif isinstance(written, list) and isinstance(meant, list | tuple) and len(written) == len(meant):
        for index, (value, other) in enumerate(zip(written, meant, strict=True)):
            yield from _changes(value, other, f"{path}.{index}")
    elif written != meant:
        yield f"{path} {written} is now {meant}"


def load(path: str | Path, device: torch.device | str = "cpu") -> Backbone:
    """The network in a weights file, in evaluation mode. Raises what :func:`header` raises."""
    return fill(header(path).network, Path(path), device)


def fill(network: Network, path: Path, device: torch.device | str = "cpu") -> Backbone:
    """``network`` with the tensors of a file whose header has been checked, in evaluation mode."""
    model = lower(network, device="meta")
    model.load_state_dict(read(path), strict=True, assign=True)
    return model.to(device).eval()


def _facts(path: Path, facts: Mapping[str, str], key: str) -> Facts:
    try:
        value = json.loads(facts.get(key, "{}"))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise refused(path, NO_SPEC, f"{key} in the header is no JSON mapping", "the file was changed")
    return value


def disagreements(network: Network, given: Tensors, who: str) -> Disagreement:
    """How the tensors given differ from those of the network's tree."""
    return Disagreement.between(described(lower(network, device="meta").state_dict()), given, who)
