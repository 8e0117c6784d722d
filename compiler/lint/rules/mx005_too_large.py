"""A document that is too large, too deep, or expands too far.

What
    The file has more than 256 KiB, its values are nested more than 50 deep, or its aliases expand to more than
    10,000 values.

Why
    A spec is one page. Aliases of aliases can grow a few lines into gigabytes.

Example
    Nothing to show: it is about the file, not about a line of it.
"""
