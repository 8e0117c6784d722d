"""A map too small for the layer.

What
    The feature map has shrunk below what a kernel or a pooling window needs.

Why
    The forward pass would fail, or return an empty map, for images of this size.

Example
    Bad::

        name: small
        family: vgg
        image: 16

    Good::

        name: small
        family: vgg
        image: 32
"""
