"""Norms, one per file."""

from ..norm import Norm
from ..registry import Registry

registry = Registry(__name__, Norm)
