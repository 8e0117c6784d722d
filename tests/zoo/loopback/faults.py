"""What can go wrong between us and the Hub, one case each."""

from __future__ import annotations

import resource
import socket
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from huggingface_hub import constants, file_download

from mixspec.zoo.hub import Address

from .broken import cut, dropped, flipped, headed, status
from .server import Hub
from .values import READ_TOKEN, TOKEN, Fault, Reply

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
    """A port that is taken, and where nobody listens."""
    taken = scene.stack.enter_context(socket.socket())
    taken.bind(("127.0.0.1", 0))
    scene.patch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
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
