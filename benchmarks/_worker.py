"""One subject in a process of its own: a line of JSON for each figure, as soon as it is there."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib import import_module

from ._measure import measure


def main(name: str, quick: bool) -> None:
    """Measure the figures of a subject one after another."""
    subject = import_module(f".{name}", __package__)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(getattr(subject, "THREADS", 1))
    for figure in subject.figures(quick):
        print(json.dumps(asdict(measure(name, figure, quick))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], "--quick" in sys.argv)
