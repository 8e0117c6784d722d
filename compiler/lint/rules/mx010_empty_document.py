"""An empty document.

What
    The file holds nothing but blank lines and comments.

Why
    It describes no network; often the wrong file was saved.

Example
    Bad::

        # to do

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""
