"""A comment that silences a code there is not.

What
    A comment `# mixspec: ignore[...]` names a code that no rule has.

Why
    The finding it was meant for is still reported, or the comment is left over.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv  # mixspec: ignore[MX999]

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""

severity = "warning"
