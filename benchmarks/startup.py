"""What a user waits for before a command does its work."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from ._measure import Figure, process

MIXSPEC = ("-c", "from mixspec.cli import main; main()")
HELLO = """
import typer

app = typer.Typer()

@app.command()
def hello(name: str = "world") -> None:
    print("Hello", name)

app()
"""
BUILD = "from mixspec.zoo.load import build; build('resnet50d', device='meta')"
CREATE = "import timm, torch\nwith torch.device('meta'): timm.create_model('resnet50d')"


def figures(quick: bool) -> Iterator[Figure]:
    """Wall time of whole processes, from nothing to their end."""
    python = sys.executable
    count, timm = process(python, *MIXSPEC, "count", "caformer_s18"), process(python, "-c", "import timm")
    yield Figure("mixspec count, one spec", count, "import timm", timm, goal=1 / 15)
    with tempfile.TemporaryDirectory() as folder:
        hello = Path(folder, "hello.py")
        hello.write_text(HELLO, "utf-8")
        yield Figure("mixspec count, one spec", count, "Typer hello-world", process(python, hello), goal=1.7)
    lint = process(python, *MIXSPEC, "lint", "caformer_s18")
    yield Figure("mixspec lint, one spec", lint, "import timm", timm, goal=1 / 15)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder, "a.png")
        Image.new("L", (28, 28), 200).save(picture)
        predict = process(python, *MIXSPEC, "predict", "digits_dw", str(picture))
        yield Figure("mixspec predict, one image by weights that ship", predict, "import timm", timm, goal=1.0)
    if not quick:
        yield Figure("build on meta, from nothing", process(python, "-c", BUILD), "timm", process(python, "-c", CREATE))
