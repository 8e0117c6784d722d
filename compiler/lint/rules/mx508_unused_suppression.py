"""A comment that silences nothing.

What
    A comment `# mixspec: ignore[...]` stands where no such finding is.

Why
    It would silence the next mistake on that line.

Example
    Bad::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv  # mixspec: ignore[MX203]

    Good::

        name: small
        family: metaformer
        size: s12
        mixers: SepConv
"""

severity = "warning"
safe = True
repairs = True
