"""An unknown name.

What
    A mixer, family, norm, head or named choice that does not exist. Names of operators are compared without case.

Why
    Nothing can be built from it. Names from other packages appear when the package is installed.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepCnov

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""

repairs = True
