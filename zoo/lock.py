"""``mixspec.lock``: which files exactly a project uses of the Hub, so that everybody gets the same ones.

::

    version: 1
    weights:
      - url: hf://org/name
        repo: org/name
        commit: 3f0c...
        file: model.safetensors
        sha256: 9a1e...
        size: 1048576
        spec_digest: 77ab...

``url`` is what was asked for; everything else is what it meant when the lock was made. A pull under the lock takes the
commit, not the branch, and refuses a file that is another one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..compiler import document
from ..compiler.checked import problems
from ..compiler.complaints import UNKNOWN_KEY, WRONG_VALUE
from ..compiler.errors import Problem, SpecError
from ..compiler.suggest import did_you_mean, nearest
from .atomic import replacing
from .hub import Address, Pulled, pull
from .huberrors import LOCKED, HubError
from .weights import Header

NAME = "mixspec.lock"
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FROZEN = ConfigDict(frozen=True, extra="forbid", strict=True)


class Pin(BaseModel):
    """One file of the Hub."""

    model_config = FROZEN

    url: Annotated[str, Field(pattern=r"^hf://\S+$")] = Field(description="the address that was asked for")
    repo: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")] = Field(description="its repository")
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] = Field(description="the commit that it meant")
    file: str = Field(description="its path in the repository")
    sha256: Digest = Field(description="SHA-256 of the file")
    size: Annotated[int, Field(ge=0)] = Field(description="bytes of the file")
    spec_digest: Digest | None = Field(None, description="digest of the spec in its header, where it is ours")

    @classmethod
    def of(cls, pulled: Pulled, held: Header | None) -> Self:
        """What was pulled."""
        address = pulled.address
        return cls(
            url=str(address),
            repo=address.repo,
            commit=pulled.commit,
            file=address.file,
            sha256=pulled.sha256,
            size=pulled.size,
            spec_digest=held.digest if held else None,
        )

    def pull(self) -> Pulled:
        """This file and no other. Raises HubError."""
        found = pull(Address(self.repo, self.commit, self.file))
        for what, ours, theirs in (("sha256", self.sha256, found.sha256), ("size", self.size, found.size)):
            if ours != theirs:
                told = f"{self.url}: {what} {str(theirs)[:12]} came, the lock says {str(ours)[:12]}"
                raise HubError.of(LOCKED, told, "if the new file is right, pull with --lock")
        return found

    def agrees(self, held: Header | None) -> None:
        """Raise HubError where the header tells of another spec."""
        digest = held.digest if held else None
        if digest != self.spec_digest:
            told = f"{self.url}: spec {(digest or 'none')[:12]}, the lock says {(self.spec_digest or 'none')[:12]}"
            raise HubError.of(LOCKED, told, "if the new one is right, pull with --lock")


class Lock(BaseModel):
    """All of them."""

    model_config = FROZEN

    version: Literal[1] = Field(1, description="of this file's layout")
    weights: tuple[Pin, ...] = Field((), description="one entry for each address")

    def find(self, url: str) -> Pin:
        """The entry of an address. Raises HubError."""
        wanted = str(Address.parse(url))
        known = {pin.url: pin for pin in self.weights}
        if wanted not in known:
            near = nearest(wanted, list(known))
            raise HubError.of(LOCKED, f"{wanted} is not in the lock", did_you_mean(wanted, near) or "pull with --lock")
        return known[wanted]

    def having(self, pin: Pin) -> Lock:
        """With this entry, in place of another of its address; addresses stand in order."""
        kept = {**{other.url: other for other in self.weights}, pin.url: pin}
        return Lock(weights=tuple(kept[url] for url in sorted(kept)))

    def write(self, path: Path) -> None:
        """Into a file, at once or not at all. Raises OSError."""
        lines = ["# Written by `mixspec pull --lock`; `mixspec pull --locked` takes exactly these files.", "version: 1"]
        lines += ["weights:"] if self.weights else ["weights: []"]
        for pin in self.weights:
            values = pin.model_dump(exclude_none=True).items()
            lines += [f"  {'-' if key == 'url' else ' '} {key}: {json.dumps(value)}" for key, value in values]
        with replacing(path) as temporary:
            temporary.write_text("\n".join(lines) + "\n", "utf-8")


def read(path: Path) -> Lock:
    """The lock in a file. Raises SpecError with line and column of everything wrong, OSError."""
    doc = document.read(path)
    if not isinstance(doc.data, dict):
        raise SpecError(
            Problem(WRONG_VALUE, "a lock is a mapping", "`mixspec pull --lock` writes one", source=str(path))
        )
    data = {key: tuple(value) if isinstance(value, list) else value for key, value in doc.data.items()}
    try:
        return Lock.model_validate(data)
    except ValidationError as error:
        raise SpecError(*(_located(doc, problem) for problem in problems(error, Lock))) from None


def _located(doc: document.Document, problem: Problem) -> Problem:
    place = doc.locate_key if problem.code == UNKNOWN_KEY else doc.locate
    return problem.at(doc.source, place(problem.where))
