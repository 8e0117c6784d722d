"""A parameter given twice.

What
    One operator has the same key two times in its notation.

Why
    Only one of the two can hold.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=3 k=7

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=3
"""

repairs = True
