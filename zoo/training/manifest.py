"""What a run was: run.json, written when it starts and when it goes on."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ... import __version__
from ...compiler.errors import Problem, SpecError
from ...compiler.recipe import Recipe
from ...compiler.resolve import digest_of
from ..atomic import replacing
from .engine import Engine

OTHER_RUN = "MX816"
RUN = "run.json"
LIBRARIES = ("torch", "torchvision", "timm", "accelerate", "safetensors", "numpy", "pillow")


def identity(engine: Engine) -> dict[str, Any]:
    """What may not change while a run lasts."""
    told = engine.recipe.told()
    facts = {
        "spec": {"name": engine.network.name, "digest": engine.network.digest},
        "recipe": {"name": engine.recipe.name, "digest": digest_of(told), "fields": told},
        "data": engine.data.fingerprint(),
        "seed": engine.settings.seed,
    }
    plain: dict[str, Any] = json.loads(json.dumps(facts))  # as it will be read back
    return plain


def same_run(folder: Path, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise SpecError where a folder holds another run: which fields differ, and how."""
    differing = [*_differing(then, now)]
    if differing:
        what = f"{folder} holds another run: {'; '.join(differing)}"
        hint = "--resume continues what was begun; --overwrite starts anew, and so does another folder"
        raise SpecError(Problem(OTHER_RUN, what, hint))


def _differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    if then["spec"]["digest"] != now["spec"]["digest"]:
        return [f"its spec is {then['spec']['name']} with digest {then['spec']['digest'][:12]}"]
    found = [f"its {key} is {then[key]!r}, not {now[key]!r}" for key in ("seed",) if then[key] != now[key]]
    old, new = then["recipe"]["fields"], now["recipe"]["fields"]
    for key in {**old, **new}:
        if old.get(key) != new.get(key):
            found.append(f"its recipe has {key} {_value(old, key)}, not {_value(new, key)}")
    return found if then["data"] == now["data"] else [*found, "its data are others, or were changed"]


def _value(fields: Mapping[str, Any], key: str) -> Any:
    return fields.get(key, Recipe.model_fields[key].default)


def write(folder: Path, engine: Engine, identity: Mapping[str, Any], updates: int) -> None:
    """Say what the run is, and that it begins or goes on now behind so many updates."""
    path = folder / RUN
    session = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "updates": updates,
        "command": sys.argv,
        "machine": machine(engine),
        "versions": versions(),
    }
    before = read(folder).get("sessions", []) if updates else []
    with replacing(path) as temporary:
        length = {"updates_per_epoch": engine.order.updates, "epochs": engine.recipe.passes}
        facts = {**identity, **length, "sessions": [*before, session]}
        temporary.write_text(json.dumps(facts, indent=2) + "\n")


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a run; empty where there is none that can be read."""
    try:
        found = json.loads((folder / RUN).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def machine(engine: Engine) -> dict[str, Any]:
    """Processors and devices."""
    device = engine.accelerator.device
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device.type,
        "gpu": gpu,
        "processes": engine.ranks,
        "distribution": str(engine.accelerator.distributed_type.value),
    }


def versions() -> dict[str, str]:
    """Of this package, of Python and of the libraries that a result depends on."""
    found = {"mixspec": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
