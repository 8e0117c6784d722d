"""Heads, one per file."""

from ..head import Head
from ..registry import Registry

registry = Registry(__name__, Head)
