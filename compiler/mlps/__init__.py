"""Channel MLPs, one per file."""

from ..operator import Operator
from ..registry import Registry

registry = Registry(__name__, Operator)
