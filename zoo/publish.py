"""Weights on their way to the Hub: the files of a repository, and the one commit that brings them there.

A repository holds what timm, the Hub's pages and mixspec each want: the weights, ``config.json`` in timm's layout, the
model card, the measured results, the licence and the spec. All of it goes in one commit on top of the one that was
looked at: it is there whole or not at all, and a push that somebody else overtook is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from .. import __version__
from ..compiler import catalogue
from ..compiler.errors import SpecError
from ..compiler.resolve import Network, resolve
from .card import card
from .hub import MAIN, WEIGHTS, Address
from .huberrors import LOG_IN, NO_ACCESS, NOT_PUSHED, WRONG_ADDRESS, HubError, told
from .reach import unreachable
from .timm_config import CONFIG, config_text
from .weights import Header, canonical_text, header, read

CARD, LICENCE, SPEC, RESULTS = "README.md", "LICENSE", "spec.yaml", ".eval_results"
TASK = "image-classification"
FOREIGN = f"license: other\nlicense_link: {LICENCE}"
SCORE = re.compile(r"(?:(?P<split>train|val|test)_)?(?P<metric>top[15]|accuracy)")


@dataclass(frozen=True)
class Package:
    """The files of a repository, by their paths in it, and what they are of."""

    held: Header
    weights: Path
    texts: Mapping[str, str]

    @classmethod
    def of(cls, weights: Path, licence: Path | None = None) -> Package:
        """Everything around a weights file, whose tensors are checked. Raises WeightsError for a wrong file, OSError.

        Weights that were ported are not ours to license: for them ``licence`` is their own, as a file.
        """
        held = header(weights)
        read(weights)
        texts = {
            CONFIG: config_text(held.network, held.data),
            CARD: _card(held, licence),
            **dict(_results(held)),
            LICENCE: _licence(held, licence),
            SPEC: _spec(held.network),
        }
        return cls(held, weights, texts)

    def files(self) -> list[tuple[str, int, str]]:
        """Path, bytes and SHA-256 of everything that is pushed."""
        with self.weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        rows = [(WEIGHTS, self.weights.stat().st_size, digest)]
        contents = ((path, text.encode()) for path, text in self.texts.items())
        return [*rows, *((path, len(content), hashlib.sha256(content).hexdigest()) for path, content in contents)]


@dataclass(frozen=True)
class Pushed:
    """What a push has become: a commit, and where to look at it."""

    commit: str
    url: str
    changed: bool


def push(package: Package, repo: str, *, private: bool = False, pull_request: bool = False) -> Pushed:
    """Put a package into a repository, which is made where it is missing, or offer it as a pull request.

    Raises HubError; then nothing of it is there.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, constants, get_token

    address = Address.parse(f"hf://{repo}")
    if address.repo != repo:
        raise HubError.of(WRONG_ADDRESS, f"{repo} is no repository", "org/name")
    with told(str(address)):
        if get_token() is None:
            raise HubError.of(NO_ACCESS, f"{address}: there is no token to push with", LOG_IN)
        if constants.HF_HUB_OFFLINE:
            raise HubError.of(NOT_PUSHED, f"{address}: HF_HUB_OFFLINE is set", "unset it to push, or --dry-run")
        if never := unreachable():
            raise never
        api = HfApi(endpoint=constants.ENDPOINT, library_name="mixspec", library_version=__version__)
        if not pull_request:
            api.create_repo(repo, private=private or None, exist_ok=True)
        there = api.repo_info(repo, revision=MAIN)
        if private and not there.private:
            raise HubError.of(NOT_PUSHED, f"{address}: it is there already, and public", "make it private on its page")
        files: dict[str, Path | bytes] = {
            WEIGHTS: package.weights,
            **{path: text.encode() for path, text in package.texts.items()},
        }
        done = api.create_commit(
            repo,
            [CommitOperationAdd(path, content) for path, content in files.items()],
            commit_message=f"{package.held.network.name}, by mixspec {__version__}",
            commit_description=f"spec {package.held.digest}",
            parent_commit=there.sha,
            create_pr=pull_request,
        )
    return Pushed(done.oid, done.pr_url or str(done.commit_url), done.oid != there.sha)


def _card(held: Header, licence: Path | None) -> str:
    """The card of these weights, its front matter with their results as older pages of the Hub read them.

    A licence of their own is one the Hub has no name for.
    """
    text = card(held.network, held)
    if licence is not None:
        text = re.sub(r"^license: .*$", FOREIGN, text, count=1, flags=re.M)
    metrics = [
        {"type": "accuracy", "name": _metric(match), "value": value, "verified": False}
        for match, value in _scores(held)
    ]
    if not metrics:
        return text
    data = {"name": held.data["name"], "type": held.data["name"]}
    result = {"task": {"type": TASK}, "dataset": data, "metrics": metrics}
    index = json.dumps([{"name": held.network.name, "results": [result]}])
    return text.replace("\n---\n", f"\nmodel-index: {index}\n---\n", 1)


def _spec(network: Network) -> str:
    """The spec as it ships, with its comments, where it is that one; else in canonical form. Both are YAML."""
    try:
        shipped = resolve(catalogue.load(network.name)) if network.name in catalogue.names() else None
    except SpecError:
        shipped = None
    if shipped and shipped.digest == network.digest:
        return catalogue.find(network.name).read_text("utf-8")
    return json.dumps(json.loads(canonical_text(network)), indent=1) + "\n"


def _licence(held: Header, licence: Path | None) -> str:
    """The licence of the weights: ours for what was trained here."""
    if licence is not None:
        return licence.read_text("utf-8", errors="replace")
    if origin := held.recipe.get("ported", {}).get("file") or held.metrics.get("from"):
        what = f"the weights come from {origin}, whose licence is not ours to choose"
        raise HubError.of(NOT_PUSHED, what, "name it: --license FILE")
    beside = Path(__file__).parents[1] / LICENCE
    if beside.is_file():
        return beside.read_text("utf-8")
    try:
        return distribution("mixspec").read_text(f"licenses/{LICENCE}") or "Apache-2.0\n"
    except PackageNotFoundError:
        return "Apache-2.0\n"


def _results(held: Header) -> Iterator[tuple[str, str]]:
    """``.eval_results``: one file for the data set, one entry for each accuracy in the header."""
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    entries = [
        EvalResultEntry(
            str(held.data["name"]), _task(match), value, notes=f"{_metric(match)}; measured by {held.generator}"
        )
        for match, value in _scores(held)
    ]
    if entries:
        rows: list[dict[str, Any]] = eval_result_entries_to_yaml(entries)
        slug = re.sub(r"[^\w.-]+", "-", str(held.data["name"])).strip("-")
        yield f"{RESULTS}/{slug}.yaml", "".join(f"- {json.dumps(row)}\n" for row in rows)


def _scores(held: Header) -> list[tuple[re.Match[str], float]]:
    """Accuracies in the header, where it says on what."""
    found = ((SCORE.fullmatch(key), value) for key, value in held.metrics.items())
    numbers = [(match, value) for match, value in found if match and isinstance(value, int | float)]
    return numbers if held.data.get("name") else []


def _task(match: re.Match[str]) -> str:
    return TASK if match["metric"] != "top5" else f"{TASK}-top5"


def _metric(match: re.Match[str]) -> str:
    split = {"val": "validation"}.get(match["split"] or "", match["split"] or "test")
    return f"{match['metric']}, % of the {split} images"
