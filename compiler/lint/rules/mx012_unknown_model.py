"""No model of that name.

What
    A command was given a name that is neither a file nor a shipped spec.

Why
    The shipped names are listed by `mixspec list`.

Example
    Nothing to show: it is about the file, not about a line of it.
"""
