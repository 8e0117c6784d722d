"""A size that does not divide the channels.

What
    Heads and groups split the channels evenly, so their size divides the number of channels of every stage they
    stand in.

Why
    The reshape would fail in the forward pass. The complaint gives the shape that was inferred there and the
    nearest sizes that fit all the stages concerned.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: attention Ch=24

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: attention Ch=32
"""
