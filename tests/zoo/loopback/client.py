"""huggingface_hub pointed at the Hub on loopback, with an empty cache, and without its waiting times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants, file_download
from huggingface_hub.utils import _http, close_session, disable_progress_bars, enable_progress_bars

from .server import Hub
from .values import TOKEN


@contextmanager
def client(
    hub: Hub, cache: Path, token: str | None = TOKEN, patch: pytest.MonkeyPatch | None = None
) -> Iterator[pytest.MonkeyPatch]:
    """The settings that the environment would make at import, for as long as this or the given patch lasts.

    A test that patches more gives its own: two that are undone in another order than they were made leave settings
    behind.
    """
    with ExitStack() as stack:
        patch = patch or stack.enter_context(pytest.MonkeyPatch.context())
        point(patch, hub, cache, token)
        disable_progress_bars()
        stack.callback(enable_progress_bars)
        stack.callback(close_session)
        yield patch


def point(patch: pytest.MonkeyPatch, hub: Hub, cache: Path, token: str | None) -> None:
    settings = {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": False,
        "DOWNLOAD_CHUNK_SIZE": 1000,
        "HF_HUB_DISABLE_XET": True,
        "HF_TOKEN_PATH": str(cache / "no token"),
    }
    for name, value in settings.items():
        patch.setattr(constants, name, value)
    patch.delenv("HF_TOKEN", raising=False)
    if token:
        patch.setenv("HF_TOKEN", token)
    unhurried = SimpleNamespace(sleep=lambda seconds: None, time=time.time)
    patch.setattr(_http, "time", unhurried)
    patch.setattr(file_download, "time", unhurried)


def files(folder: Path) -> list[str]:
    """What is in a cache, apart from locks and the tag that tells backups to skip it."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    return sorted(str(path) for path in found if path.parts[0] != ".locks" and path.name != "CACHEDIR.TAG")
