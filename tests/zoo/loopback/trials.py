"""What becomes of a pull or a push when something goes wrong: the table of `docs/hub.md`.

`python -m pytest tests/zoo/test_hub_faults.py` injects every fault and compares with the page;
`python -m tests.zoo.loopback.trials` in the repository's root writes the page's table anew.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mixspec.zoo.hub import Address, pull
from mixspec.zoo.huberrors import HubError
from mixspec.zoo.load import fresh, network
from mixspec.zoo.publish import Package, push
from mixspec.zoo.weights import save

from .client import client
from .faults import PULLS, PUSHES, REPO, Case, Scene
from .server import Hub

PAGE = Path(__file__).resolve().parents[3] / "docs" / "hub.md"


@dataclass(frozen=True)
class Outcome:
    """What became of a case: the message, what was left behind, and whether a retry worked."""

    message: str
    left: tuple[str, ...]
    again: bool


def plain(message: str, scene_words: dict[str, str]) -> str:
    """A message without what differs from run to run."""
    for word, name in scene_words.items():
        message = message.replace(word, name)
    message = re.sub(r"127\.0\.0\.1:\d+", "HOST", message)
    message = re.sub(r"sha256 \w{12} was announced, \w{12}", "sha256 X was announced, X", message)
    message = re.sub(r"\S+/cache\S*", "CACHE:", message) if "CACHE" not in message else message
    return re.sub(r"\d[\d,]* of \d[\d,]* bytes", "N of N bytes", message)


@contextmanager
def scene(case: Case, hub: Hub, folder: Path, weights: Path) -> Iterator[Scene]:
    """The Hub with a repository in it, the client, and the fault between them."""
    hub.reset()
    hub.put(REPO, {"README.md": b"old", "model.safetensors": weights.read_bytes()})
    with ExitStack() as stack:
        patch = stack.enter_context(client(hub, folder / "cache", case.token))
        made = Scene(hub, folder / "cache", patch, stack)
        case.arrange(made)
        yield made
        hub.released.set()


def words(hub: Hub, cache: Path) -> dict[str, str]:
    names = {hub.url.removeprefix("http://"): "HUB", hub.storage.removeprefix("http://"): "STORE"}
    return {**names, str(cache): "CACHE", str(cache.parent / "a file" / "cache"): "CACHE"}


def pulled(case: Case, hub: Hub, folder: Path, weights: Path) -> Outcome:
    """A pull with the fault, what it left in the cache, and a pull without."""
    message, cache = "", folder / "cache"
    with scene(case, hub, folder, weights):
        try:
            pull(case.address)
        except HubError as error:
            message = str(error)
    left = [] if not message else kept(cache)
    with client(hub, cache):
        hub.faults.clear()
        hub.released.clear()
        hub.put(REPO, {"README.md": b"old", "model.safetensors": weights.read_bytes()})
        again = pull(Address(REPO)).path.read_bytes() == weights.read_bytes()
    return Outcome(plain(message, words(hub, cache)), tuple(left), again)


def kept(cache: Path) -> list[str]:
    """Contents and links to contents, whole or partial; neither locks, nor what a branch pointed to."""
    found = (path for path in cache.rglob("*") if not path.is_dir() and ".locks" not in path.parts)
    return sorted(str(path.relative_to(cache)) for path in found if {"blobs", "snapshots"} & set(path.parts))


def pushed(case: Case, hub: Hub, folder: Path, old: Path, package: Package) -> Outcome:
    """A push with the fault, what it left in the repository, and a push without."""
    message, new = "", package.weights
    with scene(case, hub, folder, old):
        before = head(hub)
        try:
            push(package, REPO, pull_request=case.pull_request)
        except HubError as error:
            message = str(error)
        after = head(hub)
    whole = after.get("model.safetensors") == new.read_bytes() and set(package.texts) <= set(after)
    changed = {path for path, content in after.items() if before.get(path) != content and content != b"somebody else's"}
    left = () if not message or (case.lost and whole) else tuple(sorted(changed))
    with client(hub, folder / "cache"):
        hub.faults.clear()
        push(package, REPO)
        again = head(hub).get("model.safetensors") == new.read_bytes()
    return Outcome(plain(message, words(hub, folder / "cache")), left, again)


def head(hub: Hub) -> dict[str, bytes]:
    repo = hub.repos.get(REPO)
    return repo.commits[repo.refs["main"]] if repo else {}


def row(side: str, case: Case, outcome: Outcome) -> str:
    """A line of the table."""
    code, _, said = outcome.message.partition(f" {case.address}: ")
    told = f"`{code}` {said}" if said else "nothing: the client gets through"
    after = "all of it is there: a retry says so" if case.lost else "works" if outcome.again else "fails"
    return f"| {side} | {case.name} | {told} | {', '.join(outcome.left) or 'none'} | {after} |"


def table(rows: list[str]) -> str:
    """The table, between what stands around it on the page."""
    heads = "| | fault | what the user reads | left behind | retry |\n|---|---|---|---|---|"
    survived = sum("gets through" in line for line in rows)
    left = sum("| none |" not in line for line in rows)
    figures = (
        f"{len(rows)} faults: {survived} the client gets through by itself, {len(rows) - survived} end in one line. "
    )
    ending = f"Something partial was left behind by {left} of them; the retry worked after every one."
    return f"{figures}{ending}\n\n{heads}\n" + "\n".join(rows)


def put(page: str, made: str) -> str:
    """The page with this table."""
    return re.sub(r"(<!-- faults -->\n).*?(\n<!-- end faults -->)", lambda m: f"{m[1]}{made}{m[2]}", page, flags=re.S)


def main() -> None:
    """Inject every fault and write the page."""
    hub, spec = Hub(), network("digits_dw")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in (1, 2):
            save(fresh(spec, seed), folder / f"{seed}.safetensors")
        old, package = folder / "1.safetensors", Package.of(folder / "2.safetensors")
        rows = [row("pull", case, pulled(case, hub, folder / f"pull{i}", old)) for i, case in enumerate(PULLS)]
        rows += [
            row("push", case, pushed(case, hub, folder / f"push{i}", old, package)) for i, case in enumerate(PUSHES)
        ]
    hub.close()
    PAGE.write_text(put(PAGE.read_text("utf-8"), table(rows)), "utf-8")


if __name__ == "__main__":
    main()
