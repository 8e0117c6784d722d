"""What the two kinds of Hugging Face data sets share: splits, columns, classes, complaints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .....compiler.errors import SpecError
from ....huberrors import quiet
from ..assemble import named
from ..location import Location
from ..values import SplitName


@contextmanager
def complaining(at: Location) -> Iterator[None]:
    """What ``datasets`` raises, as one line about this data set; it says nothing by itself."""
    try:
        import datasets
    except ImportError:
        raise at.wrong("the library `datasets` is not installed", "pip install mixspec[train]") from None
    datasets.disable_progress_bars()
    try:
        with quiet():
            yield
    except SpecError:
        raise
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        lines = str(error).strip().splitlines()
        what = lines[0] if lines else type(error).__name__
        raise at.wrong(what, "hfds/DIR reads a folder of parquet files") from None


def split_names(at: Location) -> dict[SplitName, str]:
    """The splits there are, by the name they have here."""
    import datasets

    root = at.options.get("root")
    if root and Path(root).resolve().is_relative_to(Path(at.rest).resolve()):
        raise at.wrong(f"root={root} lies in the data", "another folder: what `datasets` writes would be read as data")
    with complaining(at):
        there = list(datasets.get_dataset_split_names(at.rest))
    found = named(there)
    if not found:
        raise at.wrong(f"its splits are {', '.join(there)}", "one must be train, validation or test")
    return found


def columns(at: Location, features: Mapping[str, Any] | None) -> tuple[str, str]:
    """The columns of images and of classes. Raises SpecError where they are not told and not plain to see."""
    import datasets

    kinds = {"image": datasets.Image, "label": datasets.ClassLabel}
    found = []
    for option, kind in kinds.items():
        fitting = [name for name, feature in (features or {}).items() if isinstance(feature, kind)]
        name = at.options.get(option) or next(iter(fitting), option)
        if features and name not in features:
            raise at.wrong(f"there is no column {name!r}", f"{option}= one of: {', '.join(features)}")
        found.append(name)
    return found[0], found[1]


def class_names(feature: Any, values: Iterable[Any]) -> tuple[list[str], dict[Any, int] | None]:
    """The classes of a column, and the number of each value where it is not the class's own number."""
    if names := getattr(feature, "names", None):
        return list(names), None
    there = sorted({value for value in values if value is not None})
    return [str(value) for value in there], {value: index for index, value in enumerate(there)}
