"""More blocks or channels than anyone means.

What
    A stage has more than 1,000 blocks or 65,536 channels, or all stages together have more than 1,000 blocks.

Why
    It is a slipped finger, and a tree of that size would take all memory before anything could be said about it.

Example
    Bad::

        name: small
        family: metaformer
        depths: [2, 2, 6000, 2]
        dims: [64, 128, 320, 512]
        mixers: SepConv

    Good::

        name: small
        family: metaformer
        depths: [2, 2, 6, 2]
        dims: [64, 128, 320, 512]
        mixers: SepConv
"""
