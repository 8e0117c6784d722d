"""A value that is not allowed.

What
    A number out of its range, or text of the wrong form.

Why
    The layer cannot be built, or would do something that no one means.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=-3

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=3
"""

repairs = True
