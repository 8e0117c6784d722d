"""A key that is no word.

What
    A mapping's key is a list or a mapping, or is missing in front of the colon.

Why
    Keys are names. Text that starts with a bracket or a brace needs quotes.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        [mixers]: SepConv

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""
