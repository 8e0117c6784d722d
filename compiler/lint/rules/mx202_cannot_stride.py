"""A mixer that cannot shrink the map.

What
    The family asks the mixer of this place for a stride, and the mixer has none.

Why
    The shortcut and the branch would have different sizes. Choose another mixer, or a variant of the family that
    shrinks the map elsewhere.

Example
    Nothing to show: it is about the file, not about a line of it.
"""
