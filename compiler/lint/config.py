"""The table ``[tool.mixspec]`` of the nearest ``pyproject.toml``::

[tool.mixspec]
select = ["MX"]
ignore = ["MX503"]
per-file-ignores = { "experiments/*" = ["MX5"] }
max-params = "30M"
max-macs = "5G"
max-activation-bytes = "512MiB"
targets = ["onnx"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from ..spec import TARGETS
from ..suggest import did_you_mean
from .figures import amount
from .rule import unknown_code

FILE = "pyproject.toml"
BUDGETS = ("max-params", "max-macs", "max-activation-bytes")
KEYS = ("select", "ignore", "targets", *BUDGETS, "per-file-ignores")


class ConfigError(ValueError):
    """A configuration that cannot be used: the file, the key, and what would be right."""


@dataclass(frozen=True)
class Config:
    """Which rules run, and the limits that hold for every spec."""

    select: tuple[str, ...] = ("MX",)
    ignore: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    budget: Mapping[str, int] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    folder: Path | None = None

    def selects(self, code: str, source: str = "") -> bool:
        """Whether findings of that code in that file are wanted; the longer prefix wins."""
        if self.per_file_ignores:
            return self.of(source).selects(code)
        if code not in self._known:
            self._known[code] = _longest(self.select, code) > _longest(self.ignore, code)
        return self._known[code]

    @cached_property
    def _known(self) -> dict[str, bool]:
        return {}

    def of(self, source: str) -> Config:
        """What holds for one file: the codes ignored there among the ignored, no pattern left to match."""
        if not self.per_file_ignores:
            return self
        names = (source, self._relative(source))
        patterns = self.per_file_ignores.items()
        hits = tuple(codes for pattern, codes in patterns if any(fnmatch(name, pattern) for name in names))
        if hits not in self._by_hits:
            ignore = (*self.ignore, *(code for codes in hits for code in codes))
            self._by_hits[hits] = replace(self, ignore=ignore, per_file_ignores={})
        return self._by_hits[hits]

    @cached_property
    def _by_hits(self) -> dict[tuple[tuple[str, ...], ...], Config]:
        return {}

    def _relative(self, source: str) -> str:
        if self.folder is None:
            return source
        path = Path(source).resolve()
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else source

    def with_codes(self, select: Iterable[str] | None, ignore: Iterable[str] | None) -> Config:
        """With the selection of a command line: ``select`` replaces the file's, ``ignore`` adds to it."""
        chosen = tuple(select or ()) or self.select
        return replace(self, select=chosen, ignore=(*self.ignore, *(ignore or ())))


def _longest(prefixes: Iterable[str], code: str) -> int:
    return max((len(prefix) for prefix in prefixes if code.startswith(prefix)), default=-1)


@lru_cache(maxsize=256)
def find(folder: Path) -> Config:
    """The configuration that holds in a folder. Raises ConfigError."""
    for parent in (folder, *folder.parents):
        file = parent / FILE
        if file.is_file():
            return load(file)
    return Config()


@lru_cache(maxsize=64)
def load(file: Path) -> Config:
    """The configuration in a file. Raises ConfigError."""
    try:
        table: Any = tomllib.loads(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: the file is not UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{file}: {(error.strerror or 'cannot be read').lower()}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: {error}") from None
    for key in ("tool", "mixspec"):
        table = table.get(key, {}) if isinstance(table, dict) else table
    return replace(_config(file, table), folder=file.parent.resolve())


def _config(file: Path, table: Any) -> Config:
    if not isinstance(table, dict):
        raise ConfigError(f"{file}: tool.mixspec must be a table")
    given = {key.replace("_", "-"): value for key, value in table.items()}
    for key in given:
        if key not in KEYS:
            raise ConfigError(f"{file}: unknown key {key!r} in tool.mixspec ({did_you_mean(key, KEYS)})")
    globs = given.get("per-file-ignores", {})
    if not isinstance(globs, dict):
        raise ConfigError(f"{file}: per-file-ignores must be a table of patterns")
    return Config(
        select=_codes(file, "select", given.get("select", ["MX"])),
        ignore=_codes(file, "ignore", given.get("ignore", [])),
        per_file_ignores={glob: _codes(file, glob, codes) for glob, codes in globs.items()},
        budget={key.replace("-", "_"): _limit(file, key, given[key]) for key in BUDGETS if key in given},
        targets=_targets(file, given.get("targets", [])),
    )


def _codes(file: Path, key: str, value: Any) -> tuple[str, ...]:
    codes = _words(file, key, value)
    for code in codes:
        if wrong := unknown_code(code):
            raise ConfigError(f"{file}: {key}: {wrong}")
    return codes


def _targets(file: Path, value: Any) -> tuple[str, ...]:
    targets = _words(file, "targets", value)
    for target in targets:
        if target not in TARGETS:
            raise ConfigError(f"{file}: targets: unknown target {target!r} ({did_you_mean(target, TARGETS)})")
    return targets


def _words(file: Path, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ConfigError(f"{file}: {key} must be a list of words")
    return tuple(value)


def _limit(file: Path, key: str, value: Any) -> int:
    limit = amount(value) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if limit is None or limit < 0:
        raise ConfigError(f"{file}: {key} must be a number such as 30M or 5G, not {value!r}")
    return limit
