"""Lists of different lengths.

What
    `depths`, `dims` and other lists by stage have one value for each stage.

Why
    With one value too few, all stages behind it would silently get their neighbour's.

Example
    Bad::

        name: small
        family: metaformer
        depths: [2, 2, 6, 2]
        dims: [64, 128, 320]
        mixers: SepConv

    Good::

        name: small
        family: metaformer
        depths: [2, 2, 6, 2]
        dims: [64, 128, 320, 512]
        mixers: SepConv
"""
