"""The handwritten digits that scikit-learn carries: 1797 real images of 8 x 8 pixels in 17 shades, light on dark.

E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998.
"""

from __future__ import annotations

from functools import cache

import torch

from ..location import Location
from ..values import Data, Split, SplitName

HELD_OUT = {"val": 300, "test": 300}
SPLIT_SEED = 0
"""The split is part of the data set, and not of a training's seed."""


def open(at: Location) -> Data:
    """``digits``, which has no options. Raises SpecError for one, and for more words."""
    at.only()
    if at.rest:
        raise at.wrong(f"there is nothing called {at.rest!r} in it", "digits, or ./digits for a folder")
    return digits()


@cache
def digits() -> Data:
    """Handwritten digits: 1197 images to train on, 300 to choose by and 300 to test on, the classes in equal shares."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    rest = torch.arange(len(labels)).numpy()
    parts = {}
    for name in ("test", "val"):
        rest, parts[name] = train_test_split(
            rest, test_size=HELD_OUT[name], random_state=SPLIT_SEED, stratify=labels[rest]
        )
    images = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8) / 16
    classes = torch.tensor(labels)
    splits: dict[SplitName, Split] = {
        "train": Split(images[rest], classes[rest]),
        "val": Split(images[parts["val"]], classes[parts["val"]]),
        "test": Split(images[parts["test"]], classes[parts["test"]]),
    }
    seen = splits["train"].images
    mean, std = (round(float(value), 4) for value in (seen.mean(), seen.std()))
    return Data("digits", tuple(map(str, range(10))), splits, mean, std)
