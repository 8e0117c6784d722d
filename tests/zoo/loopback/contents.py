"""What the Hub on loopback holds, and what the requests of huggingface_hub mean to it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import yaml

from .values import (
    PART_SIZE,
    READ_TOKEN,
    SIGNATURE,
    TOKEN,
    Files,
    Refused,
    Reply,
    Repo,
    Request,
    entry,
    error,
    git_hash,
    is_lfs,
    ranged,
    said,
)


class Contents:
    """Repositories by name, large files and parts of them by their digest; ``storage`` is where these come from."""

    url: str
    storage: str

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Nothing is there."""
        self.repos: dict[str, Repo] = {}
        self.lfs: dict[str, bytes] = {}
        self.parts: dict[tuple[str, int], bytes] = {}

    def put(self, name: str, files: Files, ref: str = "main") -> str:
        """A commit that is there already; its hash."""
        repo = self.repos.setdefault(name, Repo())
        self.lfs.update({hashlib.sha256(content).hexdigest(): content for p, content in files.items() if is_lfs(p)})
        return repo.commit({**repo.commits.get(repo.refs.get(ref, ""), {}), **files}, ref)

    def answer(self, request: Request) -> Reply:
        for method, pattern, handle in ROUTES:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method.replace("HEAD", "GET"):
                try:
                    return handle(self, request, *map(unquote, match.groups()))
                except Refused as refused:
                    return refused.reply
        return error(404, "no such address")

    def reader(self, request: Request, name: str) -> Repo:
        """The repository, for somebody who may read it."""
        if request.token and request.token not in (TOKEN, READ_TOKEN):
            words = "Invalid credentials in Authorization header"
            raise Refused(error(401, words, X_Error_Message=words))
        repo = self.repos.get(name)
        if repo is None or (repo.private and not request.token):
            raise Refused(error(404 if request.token else 401, "Repository not found", X_Error_Code="RepoNotFound"))
        if repo.gated and request.token != TOKEN:
            words = "Access to this model is restricted"
            raise Refused(error(403 if request.token else 401, words, X_Error_Code="GatedRepo"))
        return repo

    def writer(self, request: Request, name: str) -> Repo:
        """The repository, for somebody who may write to it."""
        repo = self.reader(request, name)
        if request.token != TOKEN:
            raise Refused(error(403 if request.token else 401, "You don't have the rights to write here"))
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
        oid = repo.head(revision)
        siblings = [{"rfilename": path} for path in sorted(repo.commits[oid])]
        return said({"id": name, "modelId": name, "sha": oid, "private": repo.private, "siblings": siblings})

    def tree(self, request: Request, name: str, revision: str) -> Reply:
        repo = self.reader(request, name)
        oid = repo.head(revision)
        return said([entry(path, content) for path, content in sorted(repo.commits[oid].items())])

    def preupload(self, request: Request, name: str, revision: str) -> Reply:
        repo = self.writer(request, name)
        head = repo.commits.get(repo.at(revision) or "", {})
        files = []
        for file in request.json()["files"]:
            path, content = file["path"], head.get(file["path"])
            oid = None if content is None else entry(path, content).get("lfs", {}).get("oid") or git_hash(content)
            mode = "lfs" if is_lfs(path) else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return said({"files": files, "commitOid": repo.at(revision)})

    def batch(self, request: Request, name: str) -> Reply:
        self.writer(request, name)
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
        lines = [json.loads(line) for line in request.body.splitlines()]
        head = repo.head(revision)
        if lines[0]["value"].get("parentCommit", head) != head:
            return error(412, "A commit has happened since. Please refresh and try again.")
        files = {**repo.commits[head], **dict(map(self.committed, lines[1:]))}
        pull = "create_pr=1" in request.query
        number = 1 + sum(ref.startswith("refs/pr/") for ref in repo.refs)
        oid = repo.commit(files, f"refs/pr/{number}" if pull else revision)
        url = f"{self.url}/{name}"
        told = {"success": True, "commitOid": oid, "commitUrl": f"{url}/commit/{oid}"}
        return said({**told, **({"pullRequestUrl": f"{url}/discussions/{number}"} if pull else {})})

    def committed(self, line: dict[str, Any]) -> tuple[str, bytes]:
        """Path and content of a file of a commit: sent along, or uploaded before."""
        value = line["value"]
        if line["key"] == "file":
            return value["path"], base64.b64decode(value["content"])
        if value["oid"] not in self.lfs:
            raise Refused(error(400, "LFS pointer pointed to a file that does not exist"))
        return value["path"], self.lfs[value["oid"]]

    def resolve(self, request: Request, name: str, revision: str, path: str) -> Reply:
        repo = self.reader(request, name)
        oid = repo.head(revision)
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
    ("POST", "/api/repos/create", Contents.create),
    ("POST", "/api/validate-yaml", Contents.validate),
    ("GET", f"/api/models/{NAME}", Contents.info),
    ("GET", f"/api/models/{NAME}/revision/{REST}", Contents.info),
    ("GET", f"/api/models/{NAME}/tree/{REST}", Contents.tree),
    ("POST", f"/api/models/{NAME}/preupload/{REST}", Contents.preupload),
    ("POST", f"/api/models/{NAME}/commit/{REST}", Contents.commit),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", Contents.batch),
    ("POST", r"/lfs/verify", Contents.verify),
    ("PUT", r"/lfs/(\w{64})", Contents.upload),
    ("PUT", r"/lfs/(\w{64})/(\d+)", Contents.upload_part),
    ("POST", r"/lfs/(\w{64})/done", Contents.parts_done),
    ("GET", rf"/{NAME}/resolve/([^/]+)/{REST}", Contents.resolve),
    ("GET", r"/storage/(\w{64})", Contents.storage_get),
]
