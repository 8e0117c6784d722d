"""Other than one value for each stage.

What
    A list such as `k=(3,5,7,9)` has one value for each stage of its clause, or of the network.

Why
    With one too few nobody can say which stage was meant.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=(3,5,7)

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=(3,5,7,7)
"""

repairs = True
