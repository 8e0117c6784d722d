"""A number too large.

What
    An integer of more than 19 digits, or a number beyond the largest float.

Why
    Nobody means it, and tools disagree about what it is.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        classes: 123456789012345678901234567890

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        classes: 1000
"""
