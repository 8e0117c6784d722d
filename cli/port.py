"""mixspec port: weights from somebody else's checkpoint, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..zoo.ports import LAYOUTS
from ._options import Image

if TYPE_CHECKING:
    from ..zoo.ports._layout import State


def known(text: str) -> str:
    """The name of a layout. Anything else is wrong usage."""
    if text not in LAYOUTS:
        raise typer.BadParameter(f"{text!r} is no layout: {', '.join(LAYOUTS)}")
    return text


Checkpoint = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="A checkpoint: .safetensors, .pth or .bin; no code in it runs."),
]
From = Annotated[
    str | None, typer.Option("--layout", metavar="LAYOUT", parser=known, help="The layout the checkpoint is in.")
]
To = Annotated[
    str | None,
    typer.Option("--to-layout", metavar="LAYOUT", parser=known, help="Write a file of ours in this layout instead."),
]
SpecName = Annotated[
    str | None, typer.Option("--spec", metavar="NAME_OR_PATH", help="The network the weights are for.")
]
Like = Annotated[
    str | None,
    typer.Option("--like", metavar="FILE", help="With --to-layout: a checkpoint of that network, or timm:NAME."),
]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The safetensors file to write.")]
Classes = Annotated[int | None, typer.Option("--classes", min=0, help="Classes of the checkpoint, if not the spec's.")]
Key = Annotated[
    str | None, typer.Option("--key", help="Entry of the checkpoint that holds the weights: state_dict_ema, ...")
]


def command(
    file: Checkpoint,
    output: Output,
    layout: From = None,
    spec: SpecName = None,
    to_layout: To = None,
    like: Like = None,
    image: Image = None,
    classes: Classes = None,
    key: Key = None,
) -> None:
    """Port a checkpoint of another library to a weights file of ours, or a file of ours back to its layout.

    mixspec port FILE --layout timm_metaformer --spec caformer_s18 --output ours.safetensors
    mixspec port ours.safetensors --to-layout timm_metaformer --like timm:caformer_s18 --output theirs.safetensors

    Every bit stays. What is missing, left over or of another shape is told from both sides, and nothing is written.
    """
    if (layout is None) == (to_layout is None):
        raise typer.BadParameter("say --layout LAYOUT and --spec NAME, or --to-layout LAYOUT and --like FILE")
    if layout and not spec:
        raise typer.BadParameter("for which network? --spec NAME", param_hint="--spec")
    if to_layout and not like:
        raise typer.BadParameter("in whose shapes? --like FILE, or --like timm:NAME", param_hint="--like")
    if output.suffix != ".safetensors":
        raise typer.BadParameter("only .safetensors files are written", param_hint="--output")
    if layout:
        _to_ours(file, layout, str(spec), output, image, classes, key)
    else:
        _to_theirs(file, str(to_layout), str(like), output)


def _to_ours(
    file: Path,
    layout: str,
    spec: str,
    output: Path,
    image: int | tuple[int, int] | None,
    classes: int | None,
    key: str | None,
) -> None:
    from ..zoo.load import network
    from ..zoo.port import ported
    from ..zoo.weights import save

    model = ported(file, layout, network(spec, image=image, classes=classes), key)
    save(model, output, recipe={"ported": {"layout": layout, "file": file.name, "sha256": _sha256(file)}})
    typer.echo(f"wrote {output}: {len(model.state_dict())} tensors of {file} as {spec}")


def _to_theirs(file: Path, layout: str, like: str, output: Path) -> None:
    from ..zoo.port import unported, write
    from ..zoo.weights import load

    model = load(file)
    state = unported(model, layout, _shapes(like, model.num_classes))
    write(state, output)
    typer.echo(f"wrote {output}: {len(state)} tensors in the layout {layout}")


def _shapes(like: str, classes: int) -> State:
    """A state dict of the network in the foreign layout."""
    from ..zoo.port import foreign

    library, _, name = like.rpartition(":")
    if library != "timm":
        return foreign(like)
    import timm

    if not timm.is_model(name):
        raise typer.BadParameter(f"timm has no model {name!r}", param_hint="--like")
    model = timm.create_model(name, pretrained=False, num_classes=classes)
    state: State = model.state_dict()
    return state


def _sha256(file: Path) -> str:
    import hashlib

    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
