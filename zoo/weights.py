"""One safetensors file for one network: its weights, its spec, and how it was trained.

The header carries the spec in canonical form and its digest, so a file rebuilds its own network, and is refused from
the header alone, before any tensor is read, when digest, spec and shapes do not agree. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise

from .. import __version__
from ..compiler.backbone import Backbone
from ..compiler.errors import Problem, SpecError
from ..compiler.lower import lower
from ..compiler.parse import parse
from ..compiler.resolve import Network, digest_of, resolve
from .atomic import replacing

NOT_WEIGHTS, NO_SPEC, WRONG_DIGEST, WRONG_TENSORS, NOT_SAVED = "MX801", "MX802", "MX803", "MX804", "MX805"
LISTED = 8
"""Tensors of one kind that a report names one by one."""

Facts = Mapping[str, Any]
Tensors = Mapping[str, str]
"""What is known of tensors without reading them: ``(24, 1, 3, 3)``, or ``(1,) of integers``, by name."""


class WeightsError(SpecError):
    """A weights file, or a model to be saved, that does not agree with its spec."""


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
    longer what its spec says (pruned, wrapped, on ``meta``), OSError where the file cannot be written.
    """
    path = Path(path)
    network = network_of(model)
    state = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    if any(tensor.is_meta for tensor in state.values()):
        raise WeightsError.of(NOT_SAVED, "a model on the meta device has no weights", "build it on cpu", ())
    report = disagreements(network, _described(state), "model")
    if report:
        raise WeightsError.of(NOT_SAVED, f"the model is no longer what its spec says: {report}")
    facts = {
        "format": "pt",
        "generator": f"mixspec {__version__}",
        "spec_name": network.name,
        "spec_digest": network.digest,
        "spec": canonical_text(network),
        **{key: _plain(value) for key, value in (("metrics", metrics), ("recipe", recipe), ("data", data)) if value},
    }
    with replacing(path) as temporary:
        _write(temporary, state, facts)


def _write(path: Path, state: dict[str, torch.Tensor], facts: dict[str, str]) -> None:
    """A safetensors file whose header is in order, which the library's is not: equal models give equal files."""
    blob = serialise(state, facts)
    start = 8 + int.from_bytes(blob[:8], "little")
    text = json.dumps(json.loads(blob[8:start]), sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin on a multiple of eight bytes
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.write(memoryview(blob)[start:])


def network_of(model: Backbone) -> Network:
    """The network a model is, a new classifier included. Raises WeightsError for a bare family."""
    network = model.resolved
    if network is None:
        raise WeightsError.of(NOT_SAVED, "the model was built without a spec", "use mixspec.build or lower(network)")
    if model.num_classes == network.family.classes:
        return network
    return replace(network, family=network.family.model_copy(update={"classes": model.num_classes}))


def _plain(value: Facts) -> str:
    return json.dumps(dict(value), allow_nan=False)


def header(path: str | Path) -> Header:
    """What the file says of itself; no tensor is read.

    Raises WeightsError where the file is damaged, or where spec, digest and shapes disagree; OSError where it cannot
    be opened.
    """
    path = Path(path)
    facts, tensors = _open(path)
    if "spec" not in facts or "spec_digest" not in facts:
        raise _refused(path, NO_SPEC, "no spec in the header", "a file written by mixspec.save carries one")
    network = _network(path, facts)
    if report := disagreements(network, tensors, "file"):
        raise _refused(path, WRONG_TENSORS, f"not the weights of {network.name}: {report}")
    notes = (_facts(path, facts, key) for key in ("metrics", "recipe", "data"))
    return Header(network, facts["spec_digest"], facts.get("generator", ""), tensors, *notes)


def _network(path: Path, facts: Mapping[str, str]) -> Network:
    """The network of a header whose spec has the digest it claims and still means what it meant."""
    spec = parse(facts["spec"], f"{path} (header)")
    written = dict(cast(dict[str, Any], spec.document.data))
    del written["name"]
    digest = digest_of(written)
    if digest != facts["spec_digest"]:
        what = f"the header's spec has digest {digest[:12]}, not {facts['spec_digest'][:12]} as it claims"
        raise _refused(path, WRONG_DIGEST, what, "the file was changed after it was written")
    network = replace(resolve(spec), document=None)
    if changed := next(_changes(written, network.canonical()), None):
        what = f"the spec of {network.name} no longer means what it meant when the file was written: {changed}"
        raise _refused(path, WRONG_DIGEST, what, f"the file was written by {facts.get('generator', 'another version')}")
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


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by name."""
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)


def _open(path: Path) -> tuple[dict[str, str], Tensors]:
    with path.open("rb"):
        pass  # safe_open names no file in its errors
    try:
        with safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            return file.metadata() or {}, {
                name: _description(tensor.get_shape(), tensor.get_dtype().startswith(("F", "BF")))
                for name, tensor in slices.items()
            }
    except SafetensorError as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        raise _refused(path, NOT_WEIGHTS, f"no safetensors file, or a damaged one: {reason}") from None


def _facts(path: Path, facts: Mapping[str, str], key: str) -> Facts:
    try:
        value = json.loads(facts.get(key, "{}"))
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _refused(path, NO_SPEC, f"{key} in the header is no JSON mapping", "the file was changed")
    return value


def _refused(path: Path, code: str, what: str, hint: str = "") -> WeightsError:
    return WeightsError(Problem(code, what, hint, source=str(path)))


@dataclass(frozen=True)
class Disagreement:
    """Tensors that a network has and a file has not, the reverse, and those whose shapes differ."""

    missing: Tensors
    unexpected: Tensors
    misshapen: Mapping[str, tuple[str, str]]
    who: str

    @classmethod
    def between(cls, wanted: Tensors, given: Tensors, who: str) -> Self:
        both = [name for name in wanted if name in given]
        return cls(
            {name: wanted[name] for name in wanted if name not in given},
            {name: given[name] for name in given if name not in wanted},
            {name: (given[name], wanted[name]) for name in both if given[name] != wanted[name]},
            who,
        )

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        counts = f"{len(self.missing)} missing, {len(self.unexpected)} unexpected, {len(self.misshapen)} misshapen"
        return "\n".join(
            [
                counts,
                *_listed(f"  missing     {name} {shape}" for name, shape in self.missing.items()),
                *_listed(f"  unexpected  {name} {shape}" for name, shape in self.unexpected.items()),
                *_listed(
                    f"  misshapen   {name} {self.who} {given}, spec {wanted}"
                    for name, (given, wanted) in self.misshapen.items()
                ),
            ]
        )


def disagreements(network: Network, given: Tensors, who: str) -> Disagreement:
    """How the tensors given differ from those of the network's tree."""
    return Disagreement.between(_described(lower(network, device="meta").state_dict()), given, who)


def _described(state: Mapping[str, torch.Tensor]) -> dict[str, str]:
    return {name: _description(tensor.shape, tensor.is_floating_point()) for name, tensor in state.items()}


def _description(shape: Iterable[int], floating: bool) -> str:
    return f"{tuple(shape)}" if floating else f"{tuple(shape)} of integers"


def _listed(lines: Iterable[str]) -> list[str]:
    every = list(lines)
    return every if len(every) <= LISTED else [*every[:LISTED], f"  ... and {len(every) - LISTED} more"]
