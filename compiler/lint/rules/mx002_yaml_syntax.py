"""Text that is not YAML.

What
    The YAML parser stops here: indentation that fits no line above, a tab, a bracket or a quote that is never
    closed, a colon inside unquoted text.

Why
    Nothing can be built from it. The entry with the mistake is left out and the rest of the file is judged all the
    same.

Example
    Bad::

        name: small
         family: metaformer
        size: s12
        mixers: SepConv

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""

from __future__ import annotations

from ...errors import Problem
from ..file import File
from ..finding import Fix
from ..mend import clarify as clarify
from ..mend import mend


def repair(problem: Problem, file: File) -> Fix | None:
    """The smallest change after which the text can be read further, found by trying."""
    return mend(file.text, problem)
