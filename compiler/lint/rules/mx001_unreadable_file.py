"""A file that cannot be read.

What
    The file does not exist, is a folder, or may not be opened.

Why
    A path with a typing error would otherwise count as a clean file in CI.

Example
    Nothing to show: it is about the file, not about a line of it.
"""
