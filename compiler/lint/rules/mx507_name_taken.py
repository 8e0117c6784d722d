"""Two files with one name.

What
    Two specs of the same run have the same `name`.

Why
    Models are registered by name; one of the two could never be built.

Example
    Nothing to show: it is about the file, not about a line of it.
"""
