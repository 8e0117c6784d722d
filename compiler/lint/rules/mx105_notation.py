"""Text that is not notation.

What
    An operator is written `NAME key=value ...`, a plan `A in stages 1-2, B in stages 3-4`.

Why
    What cannot be read cannot be built.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k 3

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=3
"""
