"""A Hub on loopback: the protocol of huggingface.co as huggingface_hub speaks it, over real HTTP, kept in memory.

Repositories with commits, branches and pull requests; plain and LFS uploads (single and in parts, verified); downloads
that are redirected to a second server with signed addresses, with ranges and etags; private and gated repositories.
Faults are put in front of any request: see :class:`Fault`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_loopbackTokenThatMayWrite0001"
READ_TOKEN = "hf_loopbackTokenThatMayRead00002"
SIGNATURE = "Signature=s3cr3tS1gnature"
PART_SIZE = 64 * 1024
"""LFS uploads of more bytes go in parts."""

Files = dict[str, bytes]


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
class Fault:
    """What goes wrong with requests of a method whose path matches; ``times`` of them, then no more.

    ``change`` gets the right reply. With ``instead`` the request has no effect on the Hub.
    """

    method: str
    path: str
    change: Callable[[Reply], Reply]
    times: int = 1_000_000
    instead: bool = True


def status(code: int, **headers: str) -> Callable[[Reply], Reply]:
    """An error instead of an answer."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return lambda reply: Reply(code, named, json.dumps({"error": "broken on purpose"}).encode())


def dropped(after: int) -> Callable[[Reply], Reply]:
    """The connection breaks off inside the body."""
    return lambda reply: Reply(reply.status, reply.headers, reply.body, drop=min(after, max(len(reply.body) - 1, 0)))


def cut(reply: Reply) -> Reply:
    """Half of the body, and headers that say that this was all."""
    return Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2])


def flipped(reply: Reply) -> Reply:
    """One bit in the middle is another."""
    body = bytearray(reply.body)
    body[len(body) // 2] ^= 1
    return Reply(reply.status, reply.headers, bytes(body))


def headed(**changes: str | None) -> Callable[[Reply], Reply]:
    """Other headers; None takes one away."""
    named = {key.replace("_", "-").lower(): value for key, value in changes.items()}

    def change(reply: Reply) -> Reply:
        kept = {key: value for key, value in reply.headers.items() if key.lower() not in named}
        added = {key: value for key, value in named.items() if value is not None}
        return Reply(reply.status, {**kept, **added}, reply.body, length=reply.length)

    return change


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


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]


def is_lfs(path: str) -> bool:
    return path.endswith(".safetensors")


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Server(ThreadingHTTPServer):
    """A thread for each connection; clients that go away are no news."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Hub:
    """The server. ``url`` is its endpoint; what is large comes from another port."""

    def __init__(self) -> None:
        self.reset()
        hub = self

        class Bound(Handler):
            server_hub = hub

        self.servers = [Server(("127.0.0.1", 0), Bound) for _ in range(2)]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url, self.storage = (f"http://127.0.0.1:{server.server_address[1]}" for server in self.servers)

    def reset(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.lfs: dict[str, bytes] = {}
        self.parts: dict[tuple[str, int], bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[Seen] = []
        self.released = threading.Event()

    def close(self) -> None:
        self.released.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def put(self, name: str, files: Files, ref: str = "main") -> str:
        """A commit that is there already; its hash."""
        repo = self.repos.setdefault(name, Repo())
        self.lfs.update({hashlib.sha256(content).hexdigest(): content for p, content in files.items() if is_lfs(p)})
        return repo.commit({**repo.commits.get(repo.refs.get(ref, ""), {}), **files}, ref)

    def hang(self, reply: Reply) -> Reply:
        """No answer until the test is over."""
        self.released.wait(20)
        return Reply(drop=-1)

    def fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None

    # What the requests mean

    def answer(self, request: Request) -> Reply:
        for method, pattern, handle in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method.replace("HEAD", "GET"):
                return handle(self, request, *map(unquote, match.groups()))
        return error(404, "no such address")

    def reader(self, request: Request, name: str) -> Repo | Reply:
        """The repository, for somebody who may read it."""
        if request.token and request.token not in (TOKEN, READ_TOKEN):
            words = "Invalid credentials in Authorization header"
            return error(401, words, X_Error_Message=words)
        repo = self.repos.get(name)
        if repo is None or (repo.private and not request.token):
            return error(404 if request.token else 401, "Repository not found", X_Error_Code="RepoNotFound")
        if repo.gated and request.token != TOKEN:
            return error(403 if request.token else 401, "Access to this model is restricted", X_Error_Code="GatedRepo")
        return repo

    def writer(self, request: Request, name: str) -> Repo | Reply:
        repo = self.reader(request, name)
        if isinstance(repo, Repo) and request.token != TOKEN:
            return error(403 if request.token else 401, "You don't have the rights to write here")
        return repo

    def create(self, request: Request) -> Reply:
        told = request.json()
        name = f"{told['organization']}/{told['name']}"
        if request.token != TOKEN:
            known = request.token == READ_TOKEN
            return error(403 if known else 401, "You don't have the rights to create a model here")
        if name in self.repos:
            return said({"error": "You already created this model repo", "url": f"{self.url}/{name}"}, 409)
        self.repos[name] = Repo(private=told.get("visibility") == "private" or bool(told.get("private")))
        self.put(name, {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"})
        return said({"url": f"{self.url}/{name}", "name": name})

    def validate(self, request: Request) -> Reply:
        front = re.match(r"---\n(.*?)\n---\n", request.json()["content"], re.S)
        try:
            held = yaml.safe_load(front[1]) if front else None
        except yaml.YAMLError as wrong:
            return said({"errors": [{"message": str(wrong)}], "warnings": []}, 400)
        return said({"errors": [], "warnings": [] if held else [{"message": "empty or missing yaml metadata"}]})

    def info(self, request: Request, name: str, revision: str = "main") -> Reply:
        repo = self.reader(request, name)
        if isinstance(repo, Reply):
            return repo
        oid = repo.at(revision)
        if oid is None:
            return error(404, "Invalid rev id", X_Error_Code="RevisionNotFound")
        siblings = [{"rfilename": path} for path in sorted(repo.commits[oid])]
        return said({"id": name, "modelId": name, "sha": oid, "private": repo.private, "siblings": siblings})

    def tree(self, request: Request, name: str, revision: str) -> Reply:
        repo = self.reader(request, name)
        if isinstance(repo, Reply):
            return repo
        oid = repo.at(revision)
        if oid is None:
            return error(404, "Invalid rev id", X_Error_Code="RevisionNotFound")
        return said([entry(path, content) for path, content in sorted(repo.commits[oid].items())])

    def preupload(self, request: Request, name: str, revision: str) -> Reply:
        repo = self.writer(request, name)
        if isinstance(repo, Reply):
            return repo
        head = repo.commits.get(repo.at(revision) or "", {})
        files = []
        for file in request.json()["files"]:
            path, content = file["path"], head.get(file["path"])
            oid = None if content is None else entry(path, content).get("lfs", {}).get("oid") or git_hash(content)
            mode = "lfs" if is_lfs(path) else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return said({"files": files, "commitOid": repo.at(revision)})

    def batch(self, request: Request, name: str) -> Reply:
        repo = self.writer(request, name)
        if isinstance(repo, Reply):
            return repo
        objects = [self.transfer(one["oid"], one["size"]) for one in request.json()["objects"]]
        return said({"transfer": "basic", "objects": objects})

    def transfer(self, oid: str, size: int) -> dict[str, Any]:
        """How a large file is to be uploaded; nothing to do where it is there."""
        found: dict[str, Any] = {"oid": oid, "size": size}
        if oid in self.lfs:
            return found
        verify = {"href": f"{self.url}/lfs/verify"}
        upload: dict[str, Any] = {"href": f"{self.storage}/lfs/{oid}?{SIGNATURE}"}
        if size > PART_SIZE:
            parts = range(1, -(-size // PART_SIZE) + 1)
            header = {str(n): f"{self.storage}/lfs/{oid}/{n}?{SIGNATURE}" for n in parts}
            upload = {"href": f"{self.url}/lfs/{oid}/done", "header": {"chunk_size": str(PART_SIZE), **header}}
        return {**found, "actions": {"upload": upload, "verify": verify}}

    def upload(self, request: Request, oid: str) -> Reply:
        if hashlib.sha256(request.body).hexdigest() != oid:
            return error(400, "BadDigest: the content does not have the SHA-256 it should have")
        self.lfs[oid] = request.body
        return Reply()

    def upload_part(self, request: Request, oid: str, number: str) -> Reply:
        self.parts[oid, int(number)] = request.body
        return Reply(headers={"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'})

    def parts_done(self, request: Request, oid: str) -> Reply:
        numbers = [part["partNumber"] for part in request.json()["parts"]]
        whole = b"".join(self.parts.get((oid, number), b"") for number in numbers)
        if hashlib.sha256(whole).hexdigest() != oid:
            return error(400, "the parts do not have the SHA-256 they should have")
        self.lfs[oid] = whole
        return said({"success": True})

    def verify(self, request: Request) -> Reply:
        told = request.json()
        there = len(self.lfs.get(told["oid"], b"")) == told["size"]
        return said({}) if there else error(404, "the object is not there, or has another size")

    def commit(self, request: Request, name: str, revision: str) -> Reply:
        repo = self.writer(request, name)
        if isinstance(repo, Reply):
            return repo
        lines = [json.loads(line) for line in request.body.splitlines()]
        head = repo.at(revision)
        if head is None:
            return error(404, "Invalid rev id", X_Error_Code="RevisionNotFound")
        if lines[0]["value"].get("parentCommit", head) != head:
            return error(412, "A commit has happened since. Please refresh and try again.")
        files = dict(repo.commits[head])
        for line in lines[1:]:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif value["oid"] not in self.lfs:
                return error(400, "LFS pointer pointed to a file that does not exist")
            else:
                files[value["path"]] = self.lfs[value["oid"]]
        pull = "create_pr=1" in request.query
        number = 1 + sum(ref.startswith("refs/pr/") for ref in repo.refs)
        oid = repo.commit(files, f"refs/pr/{number}" if pull else revision)
        url = f"{self.url}/{name}"
        told = {"success": True, "commitOid": oid, "commitUrl": f"{url}/commit/{oid}"}
        return said({**told, **({"pullRequestUrl": f"{url}/discussions/{number}"} if pull else {})})

    def resolve(self, request: Request, name: str, revision: str, path: str) -> Reply:
        repo = self.reader(request, name)
        if isinstance(repo, Reply):
            return repo
        oid = repo.at(revision)
        if oid is None:
            return error(404, "Invalid rev id", X_Error_Code="RevisionNotFound")
        if path not in repo.commits[oid]:
            return error(404, "Entry not found", X_Error_Code="EntryNotFound", X_Repo_Commit=oid)
        content = repo.commits[oid][path]
        if not is_lfs(path):
            return ranged(request, content, {"X-Repo-Commit": oid, "ETag": f'"{git_hash(content)}"'})
        sha256 = hashlib.sha256(content).hexdigest()
        headers = {
            "Location": f"{self.storage}/storage/{sha256}?{SIGNATURE}",
            "X-Repo-Commit": oid,
            "X-Linked-Etag": f'"{sha256}"',
            "X-Linked-Size": str(len(content)),
            "ETag": f'"{git_hash(content)}"',
        }
        return Reply(302, headers)

    def storage_get(self, request: Request, oid: str) -> Reply:
        if request.token or SIGNATURE not in request.query:
            return error(403, "signed addresses are asked without a token")
        return ranged(request, self.lfs[oid], {"ETag": f'"{oid[:32]}"'})


NAME, REST = r"([\w.-]+/[\w.-]+)", r"(.+)"
ROUTES: list[tuple[str, str, Callable[..., Reply]]] = [
    ("POST", "/api/repos/create", Hub.create),
    ("POST", "/api/validate-yaml", Hub.validate),
    ("GET", f"/api/models/{NAME}", Hub.info),
    ("GET", f"/api/models/{NAME}/revision/{REST}", Hub.info),
    ("GET", f"/api/models/{NAME}/tree/{REST}", Hub.tree),
    ("POST", f"/api/models/{NAME}/preupload/{REST}", Hub.preupload),
    ("POST", f"/api/models/{NAME}/commit/{REST}", Hub.commit),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", Hub.batch),
    ("POST", r"/lfs/verify", Hub.verify),
    ("PUT", r"/lfs/(\w{64})", Hub.upload),
    ("PUT", r"/lfs/(\w{64})/(\d+)", Hub.upload_part),
    ("POST", r"/lfs/(\w{64})/done", Hub.parts_done),
    ("GET", rf"/{NAME}/resolve/([^/]+)/{REST}", Hub.resolve),
    ("GET", r"/storage/(\w{64})", Hub.storage_get),
]


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


def said(data: object, code: int = 200) -> Reply:
    return Reply(code, {"Content-Type": "application/json"}, json.dumps(data).encode())


def error(code: int, words: str, **headers: str) -> Reply:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Reply(code, {"Content-Type": "application/json", **named}, json.dumps({"error": words}).encode())


def entry(path: str, content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}
    if is_lfs(path):
        oid = hashlib.sha256(content).hexdigest()
        found["lfs"] = {"oid": oid, "size": len(content), "pointerSize": 130}
    return found


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


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 for one connection."""

    protocol_version = "HTTP/1.1"
    server_hub: Hub

    def handle_one(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        address = urlsplit(self.path)
        request = Request(self.command, address.path, address.query, self.headers, body)
        hub = self.server_hub
        hub.requests.append(Seen(self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        fault = hub.fault(request.method, request.path)
        reply = Reply() if fault and fault.instead and request.method in ("POST", "PUT") else hub.answer(request)
        self.send(fault.change(reply) if fault else reply)

    do_GET = do_HEAD = do_POST = do_PUT = handle_one

    def chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def send(self, reply: Reply) -> None:
        if reply.drop == -1:
            return self.break_off()
        self.send_response(reply.status)
        length = reply.length if reply.length is not None else len(reply.body)
        for key, value in {"Content-Length": str(length), **reply.headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body if reply.drop is None else reply.body[: reply.drop])
        if reply.drop is not None:
            self.break_off()
        return None

    def break_off(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at the requests."""
