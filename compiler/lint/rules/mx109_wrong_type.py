"""A value of the wrong type.

What
    Text where a number belongs, a number where text belongs, one value where a list belongs.

Why
    Nothing is converted in silence. YAML 1.2 holds: `yes` and `on` are text, `5e-4` is a number.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        image: '224'

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        image: 224
"""

repairs = True
