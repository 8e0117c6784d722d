"""Families of backbones, one per file; the file's name is the word after ``family:``."""

from ..family import Family
from ..registry import Registry

registry = Registry(__name__, Family)
