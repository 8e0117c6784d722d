"""The images to learn from and to be judged by, wherever they are.

``open_data`` reads what follows ``--data``. Each file of ``sources/`` is one kind of data set; its name is the word in
front of the slash. A data set holds splits, a split gives samples, samples give batches by key.
"""

from __future__ import annotations

from .batch import Bad, Batch, Key, as_is
from .inputs import UNFIT, Inputs
from .open import open_data
from .sources.digits import digits
from .values import AnySplit, Data, Samples, Split, SplitName

__all__ = [
    "UNFIT",
    "AnySplit",
    "Bad",
    "Batch",
    "Data",
    "Inputs",
    "Key",
    "Samples",
    "Split",
    "SplitName",
    "as_is",
    "digits",
    "open_data",
]
