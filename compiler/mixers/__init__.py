"""Token mixers, one per file; the file's name is the word in a spec."""

from ..mixer import Mixer
from ..registry import Registry

registry = Registry(__name__, Mixer)
