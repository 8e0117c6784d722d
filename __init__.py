"""mixspec: compile a written description of a vision backbone into a PyTorch module.

The public names are loaded on first use, so `import mixspec` stays free of torch, pydantic and yaml.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "SpecError": ".compiler.errors",
    "parse": ".compiler.parse",
    "resolve": ".compiler.resolve",
    "cost": ".compiler.cost",
    "count": ".compiler.cost",
    "lower": ".compiler.lower",
    "freeze": ".compiler.freeze",
    "fast": ".compiler.fast",
    "drift": ".compiler.fast",
    "build": ".zoo.load",
    "load": ".zoo.load",
    "save": ".zoo.weights",
}

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from .compiler.cost import cost as cost
    from .compiler.cost import count as count
    from .compiler.errors import SpecError as SpecError
    from .compiler.fast import drift as drift
    from .compiler.fast import fast as fast
    from .compiler.freeze import freeze as freeze
    from .compiler.lower import lower as lower
    from .compiler.parse import parse as parse
    from .compiler.resolve import resolve as resolve
    from .zoo.load import build as build
    from .zoo.load import load as load
    from .zoo.weights import save as save
else:  # hidden from type checkers, so that a misspelt name is an error to them

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for (PEP 562)."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name], __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
