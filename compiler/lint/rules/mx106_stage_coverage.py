"""Stages without an operator, or with two.

What
    Every stage is named exactly once. The last operator may leave `in stages` off; it takes what is left.

Why
    A stage that is forgotten, or that does not exist, is nearly always an off-by-one.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv in stages 1-2, attention in stage 4

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv in stages 1-2, attention in stages 3-4
"""

repairs = True
