"""mixspec pull: weights from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._options import Json
from ._table import print_json

if TYPE_CHECKING:
    from ..zoo.hub import Pulled
    from ..zoo.lock import Lock, Pin
    from ..zoo.weights import Header

Urls = Annotated[list[str] | None, typer.Argument(metavar="[URL]...", help="hf://org/name, hf://org/name@revision.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Copy the file there; else it stays in the cache.")
]
Write = Annotated[bool, typer.Option("--lock", help="Write commit, size and digests into the lock file.")]
Locked = Annotated[
    bool, typer.Option("--locked", help="Take what the lock file says and nothing else; all of it if no URL is named.")
]
LockFile = Annotated[Path, typer.Option("--lock-file", metavar="FILE", help="The lock file.")]


def command(
    urls: Urls = None,
    output: Output = None,
    lock: Write = False,
    locked: Locked = False,
    lock_file: LockFile = Path("mixspec.lock"),
    json: Json = False,
) -> None:
    """Download weights into the cache of the Hugging Face Hub, and check them.

    What came is compared with the digest that the Hub gives for it, and its header with itself. HF_HUB_OFFLINE=1 takes
    what is in the cache, HF_ENDPOINT names a mirror, HF_TOKEN opens private repositories.
    """
    if lock and locked:
        raise typer.BadParameter("--lock writes the lock file and --locked reads it", param_hint="--lock")
    if not urls and not locked:
        raise typer.BadParameter("say what: hf://org/name")
    if output and len(urls or []) != 1:
        raise typer.BadParameter("one URL goes into one file", param_hint="--output")
    from ..zoo.lock import Lock, Pin, read

    pins = read(lock_file) if locked or (lock and lock_file.exists()) else Lock()
    found = _locked(pins, urls) if locked else [_checked(url) for url in urls or []]
    for pulled, held in found:
        pins = pins.having(Pin.of(pulled, held)) if lock else pins
    if lock:
        pins.write(lock_file)
    if output:
        _copy(found[0][0].path, output)
    if json:
        print_json([_facts(*one) for one in found])
        return
    for pulled, held in found:
        typer.echo(_line(pulled, held, output or pulled.path))
    if lock:
        typer.echo(f"wrote {lock_file}: {len(pins.weights)} locked")


def _locked(pins: Lock, urls: list[str] | None) -> list[tuple[Pulled, Header | None]]:
    """What the lock file says, of some addresses or of all."""
    chosen: list[Pin] = [pins.find(url) for url in urls] if urls else list(pins.weights)
    found = []
    for pin in chosen:
        pulled = pin.pull()
        held = _header(pulled)
        pin.agrees(held)
        found.append((pulled, held))
    return found


def _checked(url: str) -> tuple[Pulled, Header | None]:
    from ..zoo.hub import Address, pull

    pulled = pull(Address.parse(url))
    return pulled, _header(pulled)


def _header(pulled: Pulled) -> Header | None:
    """The header of a file that is ours; a foreign one has none, and what is no safetensors file is not looked at."""
    from ..zoo.tensorfile import contents
    from ..zoo.weights import header

    if pulled.path.suffix != ".safetensors" or "spec" not in contents(pulled.path).facts:
        return None
    return header(pulled.path)


def _copy(file: Path, output: Path) -> None:
    """A copy of the file itself, not of the cache's link to it."""
    import shutil

    from ..zoo.atomic import replacing

    with replacing(output) as temporary:
        shutil.copyfile(file, temporary)


def _line(pulled: Pulled, held: Header | None, file: Path) -> str:
    what = f"{held.network.name}, spec {held.digest[:12]}" if held else "no spec in it (see `mixspec port`)"
    return f"{pulled.address} at {pulled.commit[:12]}: {what}, {pulled.size:,} bytes\n  {file}"


def _facts(pulled: Pulled, held: Header | None) -> dict[str, object]:
    return {
        "url": str(pulled.address),
        "path": str(pulled.path),
        "commit": pulled.commit,
        "sha256": pulled.sha256,
        "size": pulled.size,
        "name": held.network.name if held else None,
        "spec_digest": held.digest if held else None,
    }
