"""A merge key.

What
    The key `<<` asks YAML to copy another mapping's entries.

Why
    What a spec says would then stand somewhere else on the page, or be overridden by what stands below.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers:
          <<: {type: SepConv}

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""
