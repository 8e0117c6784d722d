"""What goes between the Hub on loopback and its clients, and what it keeps."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

TOKEN = "hf_loopbackTokenThatMayWrite0001"
READ_TOKEN = "hf_loopbackTokenThatMayRead00002"
SIGNATURE = "Signature=s3cr3tS1gnature"
PART_SIZE = 64 * 1024
"""LFS uploads of more bytes go in parts."""

Files = dict[str, bytes]


@dataclass
class Request:
    """A request, read."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Reply:
    """What is sent; after ``drop`` bytes of the body the connection breaks off (-1: before the headers)."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    drop: int | None = None
    length: int | None = None
    """Content-Length, where it is not that of the body (HEAD)."""


@dataclass
class Refused(Exception):
    """An answer that ends what was asked for."""

    reply: Reply


@dataclass
class Fault:
    """What goes wrong with requests of a method whose path matches; ``times`` of them, then no more.

    ``change`` gets the right reply. With ``instead`` the request has no effect on the Hub.
    """

    method: str
    path: str
    change: Callable[[Reply], Reply]
    times: int = 1_000_000
    instead: bool = True


@dataclass
class Repo:
    """Commits by their hash, oldest first, and what the branches point to."""

    private: bool = False
    gated: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files, ref: str = "main") -> str:
        text = repr((sorted((k, hashlib.sha1(v).hexdigest()) for k, v in files.items()), len(self.commits)))
        oid = hashlib.sha1(text.encode()).hexdigest()
        self.commits[oid] = files
        self.refs[ref] = oid
        return oid

    def at(self, revision: str) -> str | None:
        return self.refs.get(revision) or (revision if revision in self.commits else None)

    def head(self, revision: str) -> str:
        """The commit of a revision that there must be."""
        oid = self.at(revision)
        if oid is None:
            raise Refused(error(404, "Invalid rev id", X_Error_Code="RevisionNotFound"))
        return oid


def is_lfs(path: str) -> bool:
    return path.endswith(".safetensors")


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def entry(path: str, content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}
    if is_lfs(path):
        oid = hashlib.sha256(content).hexdigest()
        found["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
    return found


def said(data: object, code: int = 200) -> Reply:
    return Reply(code, {"Content-Type": "application/json"}, json.dumps(data).encode())


def error(code: int, words: str, **headers: str) -> Reply:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Reply(code, {"Content-Type": "application/json", **named}, json.dumps({"error": words}).encode())


def ranged(request: Request, content: bytes, headers: dict[str, str]) -> Reply:
    """All of the content, or what comes behind the first byte asked for."""
    headers = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", **headers}
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    if not asked:
        return Reply(200, headers, content)
    start = int(asked[1])
    if start >= len(content):
        return Reply(416, {**headers, "Content-Range": f"bytes */{len(content)}"})
    around = f"bytes {start}-{len(content) - 1}/{len(content)}"
    return Reply(206, {**headers, "Content-Range": around}, content[start:])
