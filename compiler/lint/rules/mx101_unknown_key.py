"""An unknown key.

What
    A key of the spec, or a parameter of an operator, that nothing reads.

Why
    A misspelt setting must not be dropped in silence: the network would be built without it.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv kk=3

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv k=3
"""

repairs = True
