"""Files of other revisions, read through git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import typer

from ..compiler.document import ENDINGS


def git(*arguments: str) -> bytes:
    """What a git command prints. Its failure is wrong usage."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise typer.BadParameter("git is not installed") from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0].removeprefix("fatal: ")
        outside = "not a git repository" in said.lower()
        raise typer.BadParameter("this folder is in no git repository" if outside else said or "git failed")
    return done.stdout


def revision(name: str) -> str:
    """The name of a revision, refused where git would take it for an option."""
    if name.startswith("-"):
        raise typer.BadParameter(f"{name!r} is no revision")
    return name


def fork(old: str, new: str) -> str:
    """The last revision that both contain, as in git's ``OLD...NEW``."""
    return git("merge-base", revision(old) or "HEAD", revision(new) or "HEAD").decode().strip()


def show(name: str, path: str) -> bytes:
    """A file as it is in a revision; the working tree's where the revision is empty."""
    if not name:
        return (root() / path).read_bytes()
    return git("show", f"{revision(name)}:{path}")


def root() -> Path:
    """The top folder of the working tree."""
    return Path(git("rev-parse", "--show-toplevel").decode().strip())


def changed(old: str, new: str, paths: list[str]) -> list[tuple[str | None, str | None]]:
    """The specs that differ between two revisions, by their old and new paths; None where there is none."""
    revisions = [revision(name) for name in (old, new) if name]
    listed = git(
        "diff", "--name-status", "-z", "-M70%", *revisions, "--", *(paths or [f"*{ending}" for ending in ENDINGS])
    )
    fields = listed.decode("utf-8", "replace").split("\0")
    found: list[tuple[str | None, str | None]] = []
    while len(fields) > 1:
        status, path = fields.pop(0), fields.pop(0)
        target = fields.pop(0) if status[:1] in "RC" else path
        found.append((None if status == "A" else path, None if status == "D" else target))
    return [pair for pair in found if any(path and path.endswith(ENDINGS) for path in pair)]
