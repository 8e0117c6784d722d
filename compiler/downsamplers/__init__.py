"""Low-pass filters that halve the map and keep its channels, one per file; strided mixers serve as well."""

from ..mixer import Mixer
from ..registry import Registry

registry = Registry(__name__, Mixer)
