"""mixspec push: weights to the Hugging Face Hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ._options import Json
from ._table import print_json, table
from ._trained import Weights

To = Annotated[str, typer.Option("--to", metavar="ORG/REPO", help="The repository; it is made where it is missing.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List what would be pushed; ask nobody.")]
PullRequest = Annotated[bool, typer.Option("--pr", help="Open a pull request instead of committing.")]
Private = Annotated[bool, typer.Option("--private", help="Make a new repository private.")]
Licence = Annotated[
    Path | None, typer.Option("--license", metavar="FILE", help="The licence of the weights, if not Apache-2.0.")
]
Show = Annotated[str | None, typer.Option("--show", metavar="PATH", help="With --dry-run: print this file of them.")]


def command(
    weights: Weights,
    to: To,
    dry_run: DryRun = False,
    pr: PullRequest = False,
    private: Private = False,
    license: Licence = None,
    show: Show = None,
    json: Json = False,
) -> None:
    """Push weights with everything around them to the Hugging Face Hub, in one commit.

    That is model.safetensors, config.json as timm reads it, the model card, results, licence and spec. The commit goes
    on top of the one that was looked at, or not at all. The token is that of `hf auth login`, or HF_TOKEN.
    """
    if pr and private:
        raise typer.BadParameter("a pull request goes to a repository that is there", param_hint="--private")
    if show and not dry_run:
        raise typer.BadParameter("goes with --dry-run", param_hint="--show")
    from ..zoo.pretrained import weights_file
    from ..zoo.publish import Package, push

    package = Package.of(weights_file(weights), license)
    if show:
        if show not in package.texts:
            raise typer.BadParameter(f"{show!r} is none of {', '.join(package.texts)}", param_hint="--show")
        typer.echo(package.texts[show], nl=False)
        return
    files = [{"path": path, "bytes": size, "sha256": digest} for path, size, digest in package.files()]
    plan: dict[str, Any] = {
        "repo": to,
        "private": private,
        "pull_request": pr,
        "name": package.held.network.name,
        "files": files,
    }
    if not dry_run:
        done = push(package, to, private=private, pull_request=pr)
        plan |= {"commit": done.commit, "url": done.url, "changed": done.changed}
    if json:
        print_json(plan)
    else:
        _print(plan)


def _print(plan: Mapping[str, Any]) -> None:
    """The files, and what became of them."""
    table(("file", "bytes", "sha256"), [(file["path"], file["bytes"], file["sha256"][:12]) for file in plan["files"]])
    to, kind = plan["repo"], "a pull request to" if plan["pull_request"] else "one commit on main of"
    if "commit" not in plan:
        typer.echo(f"\nwould be {kind} {to}{' (private)' if plan['private'] else ''}: nothing was sent")
    elif not plan["changed"]:
        typer.echo(f"\n{to} has all of it already, at {plan['commit'][:12]}")
    else:
        typer.echo(f"\n{kind} {to}, {plan['commit'][:12]}: {plan['url']}")
