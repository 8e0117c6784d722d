"""Weights from the Hugging Face Hub: ``hf://org/name@revision`` is a file in the cache, checked before it is used.

The cache is huggingface_hub's own and is shared with everything else that uses it. Its settings hold: HF_HOME,
HF_HUB_CACHE, HF_HUB_OFFLINE, HF_ENDPOINT, HF_TOKEN and the timeouts. The client resumes a download inside a call and
keeps nothing partial; every file is then compared with the digest that the Hub gives for it, here, whatever brought it.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from .. import __version__
from .huberrors import AGAIN, NOT_WHAT_IT_SAID, WRONG_ADDRESS, HubError, told
from .reach import unreachable

WEIGHTS = "model.safetensors"
MAIN = "main"
SCHEME = re.compile(r"hf:/+")
GIT = 40
"""Digits of git's digest of a file."""


@dataclass(frozen=True)
class Address:
    """A file in a repository at a revision: a branch, a tag or a commit."""

    repo: str
    revision: str = MAIN
    file: str = WEIGHTS

    @classmethod
    def parse(cls, text: str | Path) -> Address:
        """``hf://org/name``, ``hf://org/name@revision/path/in/repo``. Raises HubError."""
        from huggingface_hub import parse_hf_uri
        from huggingface_hub.errors import HfUriError

        url = SCHEME.sub("hf://", str(text), count=1)  # a path has lost a slash
        try:
            found = parse_hf_uri(url)
        except HfUriError as error:
            reason = re.split(r"\. | \(", str(error).partition("'. ")[2])[0].rstrip(".")  # behind the address
            raise HubError.of(WRONG_ADDRESS, f"{url} is no address: {reason}", "hf://org/name@revision") from None
        if found.type != "model":
            raise HubError.of(WRONG_ADDRESS, f"{url} is no model but a {found.type}", "hf://org/name@revision")
        return cls(found.id, found.revision or MAIN, found.path_in_repo or WEIGHTS)

    def __str__(self) -> str:
        file = "" if self.file == WEIGHTS else f"/{self.file}"
        return f"hf://{self.repo}{'' if self.revision == MAIN else f'@{self.revision}'}{file}"


@dataclass(frozen=True)
class Pulled:
    """A file of the cache that is what the Hub says it is."""

    path: Path
    address: Address
    commit: str
    sha256: str
    size: int


def is_remote(path_or_url: str | Path) -> bool:
    """Whether this is an address on the Hub."""
    return SCHEME.match(str(path_or_url)) is not None


def local(path_or_url: str | Path) -> Path:
    """The file behind a path or an address on the Hub; a path stays as it is. Raises HubError."""
    return pull(Address.parse(path_or_url)).path if is_remote(path_or_url) else Path(path_or_url)


def pull(address: Address) -> Pulled:
    """The file in the cache, downloaded where it is not there yet. Raises HubError."""
    from huggingface_hub import constants, hf_hub_download

    with told(str(address)):
        if not _cached(address) and (never := unreachable()):
            raise never
        pointer = Path(
            hf_hub_download(
                address.repo,
                address.file,
                revision=address.revision,
                cache_dir=constants.HF_HUB_CACHE,
                endpoint=constants.ENDPOINT,
                etag_timeout=constants.HF_HUB_ETAG_TIMEOUT,
                library_name="mixspec",
                library_version=__version__,
            )
        )
        commit = _commit(pointer, address)
        said = _digest_of_the_hub(pointer, address, commit)
        sha256 = _sha256(pointer)
        whole = said in (None, sha256) or (len(str(said)) == GIT and said == _git(pointer))
    if not whole:
        _remove(pointer)
        what = f"{address}: sha256 {str(said)[:12]} was announced, {sha256[:12]} came"
        raise HubError.of(NOT_WHAT_IT_SAID, what, AGAIN)
    return Pulled(pointer, address, commit, sha256, pointer.stat().st_size)


def _cached(address: Address) -> bool:
    """Whether the cache has a file for the address, which may be no longer the Hub's."""
    from huggingface_hub import constants, try_to_load_from_cache

    folder = constants.HF_HUB_CACHE
    return isinstance(try_to_load_from_cache(address.repo, address.file, folder, address.revision), str)


def _commit(pointer: Path, address: Address) -> str:
    """The commit a file of the cache belongs to: ``.../snapshots/COMMIT/file``."""
    return pointer.parents[len(Path(address.file).parts) - 1].name


def _digest_of_the_hub(pointer: Path, address: Address, commit: str) -> str | None:
    """What the Hub says the file's digest is: SHA-256 of a large file, git's of a small one.

    The cache names its files so. Where it has no links the Hub is asked again; offline nobody can say.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    if pointer.is_symlink():
        return os.path.basename(os.readlink(pointer))
    if constants.HF_HUB_OFFLINE:
        return None
    url = hf_hub_url(address.repo, address.file, revision=commit, endpoint=constants.ENDPOINT)
    return get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT, endpoint=constants.ENDPOINT).etag


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _git(file: Path) -> str:
    """The name of a file as a git blob."""
    content = file.read_bytes()  # git keeps small files only
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _remove(pointer: Path) -> None:
    """Take a file out of the cache: the link, what it leads to, and every link between them."""
    chain = [pointer]
    while chain[-1].is_symlink():
        chain.append(chain[-1].parent / chain[-1].readlink())
    for path in chain:
        path.unlink(missing_ok=True)
