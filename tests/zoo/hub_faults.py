"""What can go wrong between us and the Hub, one case each, and what becomes of it: the table of `docs/hub.md`.

`python -m pytest tests/zoo/test_hub_faults.py` injects every fault and compares with the page;
`python -m tests.zoo.hub_faults` in the repository's root writes the page's table anew.
"""

from __future__ import annotations

import re
import resource
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import constants, file_download

from mixspec.zoo.hub import Address, pull
from mixspec.zoo.huberrors import HubError
from mixspec.zoo.load import fresh, network
from mixspec.zoo.publish import Package, push
from mixspec.zoo.weights import save

from .hub_client import client
from .hub_server import READ_TOKEN, TOKEN, Fault, Hub, Reply, cut, dropped, flipped, headed, status

PAGE = Path(__file__).resolve().parents[2] / "docs" / "hub.md"
REPO = "org/tiny"
HEAD, STORAGE = ("HEAD", "/resolve/"), ("GET", "/storage/")
PREUPLOAD, BATCH, UPLOAD = ("POST", "/preupload/"), ("POST", "/objects/batch"), ("PUT", "^/lfs/")
VERIFY, COMMIT = ("POST", "/lfs/verify"), ("POST", "/commit/")
PATIENCE = {
    HEAD: ((constants, "HF_HUB_ETAG_TIMEOUT"), (file_download, "_ETAG_RETRY_TIMEOUT")),
    STORAGE: ((constants, "HF_HUB_DOWNLOAD_TIMEOUT"),),
}
"""Which settings of huggingface_hub say how many seconds a request may take."""


@dataclass
class Scene:
    """Where a case arranges its fault."""

    hub: Hub
    cache: Path
    patch: pytest.MonkeyPatch
    stack: ExitStack


Arrange = Callable[[Scene], None]


@dataclass(frozen=True)
class Case:
    """A fault. ``says`` is what the user reads; none where the client gets through by itself."""

    name: str
    arrange: Arrange
    says: str = ""
    token: str | None = TOKEN
    address: Address = field(default_factory=lambda: Address(REPO))
    pull_request: bool = False
    lost: bool = False
    """The push has arrived although its answer has not."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case: the message, what was left behind, and whether a retry worked."""

    message: str
    left: tuple[str, ...]
    again: bool


def on(
    request: tuple[str, str], change: Callable[[Reply], Reply], times: int = 1_000_000, lost: bool = False
) -> Arrange:
    """A fault of the server."""

    def arrange(scene: Scene) -> None:
        scene.hub.faults.append(Fault(*request, change, times, instead=not lost))

    return arrange


def slow(request: tuple[str, str]) -> Arrange:
    """No answer, and little patience; patience as ever with all other requests."""

    def arrange(scene: Scene) -> None:
        scene.hub.faults.append(Fault(*request, scene.hub.hang))
        for holder, name in PATIENCE[request]:
            scene.patch.setattr(holder, name, 0.05)

    return arrange


def nobody(scene: Scene) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        scene.patch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    template = constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}"
    scene.patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def no_room(scene: Scene) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    scene.stack.callback(resource.setrlimit, resource.RLIMIT_FSIZE, (soft, hard))


def no_folder(scene: Scene) -> None:
    blocked = scene.cache.parent / "a file"
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.touch()
    scene.patch.setattr(constants, "HF_HUB_CACHE", str(blocked / "cache"))


def private(scene: Scene) -> None:
    scene.hub.repos[REPO].private = True


def gated(scene: Scene) -> None:
    scene.hub.repos[REPO].gated = True


def gone(scene: Scene) -> None:
    scene.hub.repos.clear()


def nothing(scene: Scene) -> None:
    """The case is in the address or the token."""


def overtaken(scene: Scene) -> None:
    def commit(reply: Reply) -> Reply:
        scene.hub.put(REPO, {"README.md": b"somebody else's"})
        return reply

    scene.hub.faults.append(Fault(*BATCH, commit, times=1, instead=False))


WRONG = "hf_aTokenThatNobodyKnows0000003"
OTHER = '"' + "0" * 64 + '"'
PULLS = (
    Case("the Hub answers 503, once", on(HEAD, status(503), 1)),
    Case("the Hub answers 500", on(HEAD, status(500)), "MX853 {at}: HUB answers 500 (nothing partial is kept"),
    Case("the storage answers 500", on(STORAGE, status(500)), "MX853 {at}: STORE answers 500 (nothing partial"),
    Case("too many requests, twice", on(STORAGE, status(429), 2)),
    Case("too many requests", on(HEAD, status(429)), "MX853 {at}: HUB wants fewer requests (429) (try again later)"),
    Case("the connection drops three times in the body", on(STORAGE, dropped(4000), 3)),
    Case("the connection drops before the body", on(STORAGE, dropped(0)), "MX853 {at}: the connection to STORE broke"),
    Case("the connection drops before an answer", on(HEAD, dropped(-1)), "MX853 {at}: the connection to HUB broke off"),
    Case("half of the body, with headers that fit", on(STORAGE, cut), "MX854 {at}: incomplete: N of N bytes came"),
    Case("one bit of the body is flipped", on(STORAGE, flipped), "MX854 {at}: sha256 X was announced, X came (nothing"),
    Case("the digest of another file", on(HEAD, headed(X_Linked_Etag=OTHER)), "MX854 {at}: sha256 X was announced, X"),
    Case("the size of another file", on(HEAD, headed(X_Linked_Size="999")), "MX854 {at}: incomplete: N of N bytes"),
    Case("no digest", on(HEAD, headed(X_Linked_Etag=None, ETag=None)), "MX854 {at}: HUB does not answer as a Hub does"),
    Case("no commit", on(HEAD, headed(X_Repo_Commit=None)), "MX854 {at}: HUB does not answer as a Hub does"),
    Case("the Hub does not answer", slow(HEAD), "MX853 {at}: no answer from HUB in time (try again, or raise"),
    Case("the storage does not answer", slow(STORAGE), "MX853 {at}: no answer from STORE in time (try again, or raise"),
    Case("nobody is there", nobody, "MX853 {at}: HOST cannot be reached: connection refused"),
    Case("a private repository, no token", private, "MX852 {at}: no such repository at HUB, or a private one", None),
    Case("a token that is not valid", nothing, "MX852 {at}: HUB does not accept the token, or wants one (log", WRONG),
    Case("a gated repository, no access", gated, "MX852 {at}: gated: its owners decide who may download", READ_TOKEN),
    Case("no such repository", gone, "MX852 {at}: no such repository at HUB, or a private one (if it is private"),
    Case("no such revision", nothing, "MX852 {at}: the repository has no such revision", address=Address(REPO, "v9")),
    Case("no such file", nothing, "MX852 {at}: the repository has no such file", address=Address(REPO, file="x.bin")),
    Case(
        "there is no room for the file", no_room, "MX853 {at}: CACHE: file too large (make room, or set HF_HUB_CACHE)"
    ),
    Case("the cache cannot be written", no_folder, "MX853 {at}: CACHE: not a directory (set HF_HUB_CACHE to a folder"),
)
PUSHES = (
    Case("the Hub answers 503 to the upload, once", on(PREUPLOAD, status(503), 1)),
    Case("making the repository answers 500", on(("POST", "/create"), status(500)), "MX853 {at}: HUB answers 500"),
    Case("looking for the parent answers 500", on(("GET", "/api/models"), status(500)), "MX853 {at}: HUB answers 500"),
    Case(
        "announcing the files answers 500", on(PREUPLOAD, status(500)), "MX853 {at}: HUB answers 500 (nothing partial"
    ),
    Case("announcing the weights answers 500", on(BATCH, status(500)), "MX853 {at}: HUB answers 500 (nothing partial"),
    Case("the storage answers 503, once", on(UPLOAD, status(503), 1)),
    Case(
        "the storage answers 500",
        on(UPLOAD, status(500)),
        "MX853 {at}: STORE answers 500 (nothing partial is kept; try",
    ),
    Case("the connection drops in the upload, twice", on(UPLOAD, dropped(-1), 2)),
    Case("the connection drops in every upload", on(UPLOAD, dropped(-1)), "MX853 {at}: the connection to STORE broke"),
    Case("the weights arrive with another digest", on(UPLOAD, status(400)), "MX856 {at}: STORE answers 400"),
    Case("the weights have not arrived", on(VERIFY, status(404)), "MX856 {at}: HUB answers 404"),
    Case("the commit answers 500", on(COMMIT, status(500)), "MX853 {at}: HUB answers 500 (nothing partial is kept"),
    Case("the commit is cut off", on(COMMIT, dropped(-1)), "MX853 {at}: the connection to HUB broke off"),
    Case(
        "the answer to the commit is lost", on(COMMIT, dropped(-1), lost=True), "MX853 {at}: the connection", lost=True
    ),
    Case("somebody else commits meanwhile", overtaken, "MX856 {at}: somebody else has committed meanwhile, so nothing"),
    Case(
        "an answer that is none", on(("POST", "/create"), lambda reply: Reply(200, {}, b"{}")), "MX854 {at}: HUB does"
    ),
    Case("nobody is there", nobody, "MX853 {at}: HOST cannot be reached: connection refused"),
    Case("no token", nothing, "MX852 {at}: there is no token to push with (log in with", None),
    Case(
        "a token that is not valid", nothing, "MX852 {at}: HUB does not accept the token, or wants one (log in", WRONG
    ),
    Case("a token that may only read", nothing, "MX852 {at}: the token may not do this: You don't have", READ_TOKEN),
    Case("a pull request to what is not there", gone, "MX852 {at}: no such repository at HUB", pull_request=True),
)


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
