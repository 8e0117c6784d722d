"""What becomes of image files that are bad or unusual: `python docs/bad_data.py` writes the table into `data.md`.

With `--check` nothing is written, and a table that is not current is an exit status.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import spoilt  # noqa: E402
from published import table  # noqa: E402

from mixspec.zoo.training.data import Inputs, Key, open_data  # noqa: E402
from mixspec.zoo.training.data.decode import decode  # noqa: E402

PAGE = ROOT / "docs" / "data.md"
NOBODY = 65534


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user who may not read everything, where we are one who may."""
    privileged = os.geteuid() == 0
    if privileged:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if privileged:
            os.seteuid(0)


def left_out(kind: str, folder: Path) -> tuple[str, str]:
    """The reason that a bad file of a kind is left out for."""
    ending, make = spoilt.BAD[kind]
    (folder / "class").mkdir()
    make(folder / "class" / f"x.{ending}")
    folder.chmod(0o755)
    samples = open_data(f"{folder}?val=0").samples("train", Inputs((8, 8), 3, 0.0, 1.0))
    with without_rights():
        batch = samples.__getitems__([Key(0, 0)])
    assert len(batch.labels) == 0 and len(batch.bad) == 1, kind
    return kind, f"left out: {re.sub('damaged: .*', 'damaged, with what the decoder says', batch.bad[0].reason)}"


def read(kind: str, folder: Path) -> tuple[str, str]:
    """How far an unusual file is from the picture it shows."""
    ending, make, grey = spoilt.READ[kind]
    make(folder / f"x.{ending}")
    with (folder / f"x.{ending}").open("rb") as stream:
        found = np.asarray(decode(stream)).astype(int)
    off = int(np.abs(found - (np.repeat(spoilt.GREY[..., None], 3, 2) if grey else spoilt.PIXELS)).max())
    return kind, "read" + (f", at most {off} of 255 shades off" if off > 1 else "")


def rows() -> Iterator[tuple[str, str]]:
    """Every kind of file and what becomes of it."""
    for kinds, way in ((spoilt.BAD, left_out), (spoilt.READ, read)):
        for kind in kinds:
            with tempfile.TemporaryDirectory() as folder:
                yield way(kind, Path(folder))


def main(arguments: list[str]) -> int:
    old = PAGE.read_text("utf-8")
    filled = f"<!-- bad -->\n{table(('file', 'what happens'), rows())}\n<!-- /bad -->"
    new = re.sub(r"<!-- bad -->.*?<!-- /bad -->", lambda match: filled, old, flags=re.S)
    if "--check" not in arguments:
        PAGE.write_text(new, "utf-8")
    elif old != new:
        print("docs/data.md: not current, run python docs/bad_data.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
