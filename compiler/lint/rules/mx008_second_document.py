"""A second document in the file.

What
    A line `---` starts another document.

Why
    One file describes one network; the file's name is the model's.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
        ---
        name: other

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""
