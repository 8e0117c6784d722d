"""What goes wrong between us and the Hub, in one line each: what happened, and what to do. No token is ever in it."""

from __future__ import annotations

import errno
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from .tensorfile import WeightsError

WRONG_ADDRESS, NO_ACCESS, UNREACHABLE, NOT_WHAT_IT_SAID, LOCKED, NOT_PUSHED = (f"MX85{digit}" for digit in range(1, 7))
LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
AGAIN = "nothing partial is kept; try again"
LONGEST = 200
"""Characters of a server's own words that are passed on."""

SECRETS = (
    (re.compile(r"\b(hf|api)_[A-Za-z0-9_-]{8,}"), "<token>"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+"), r"\1 <token>"),
    (re.compile(r"://[^/@\s]+@"), "://"),
    (re.compile(r"(https?://[^\s?]+)\?[^\s\"')]*"), r"\1"),
)
"""Tokens, credentials in addresses, and signatures of signed addresses."""


class HubError(WeightsError):
    """Weights that cannot be had from the Hub, or not be put there."""


@contextmanager
def told(name: str) -> Iterator[None]:
    """Whatever the client raises about ``name``, as a HubError of one line."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import EntryNotFoundError

    try:
        with quiet():
            yield
    except HubError:
        raise
    except (OSError, ValueError, LookupError, RuntimeError, HTTPError, EntryNotFoundError) as error:
        code, what, hint = said(error)
        raise HubError.of(code, f"{name}: {redacted(what)}", redacted(hint)) from None


@contextmanager
def quiet() -> Iterator[None]:
    """The client says nothing by itself: no log, and progress only to a terminal."""
    from huggingface_hub import utils
    from huggingface_hub.utils import logging

    client: Any = utils  # which exports more than it says
    before, bars = logging.get_verbosity(), not client.are_progress_bars_disabled() and not sys.stderr.isatty()
    logging.set_verbosity_error()
    if bars:
        client.disable_progress_bars()
    try:
        with warnings.catch_warnings():  # the client's, about its own calls of httpx2
            warnings.filterwarnings("ignore", "Use 'content=", DeprecationWarning)
            yield
    finally:
        logging.set_verbosity(before)
        if bars:
            client.enable_progress_bars()


def said(error: BaseException) -> tuple[str, str, str]:
    """Code, what happened and what to do, from the first error of a chain that says something."""
    chain = list(_chain(error))
    found = (words for one in chain for words in (_access(one), _status(one), _network(one)) if words)
    return next(found, None) or next((words for one in chain if (words := _disk(one))), _other(error))


def host() -> str:
    """The Hub's address without credentials."""
    from huggingface_hub import constants

    parts = urlsplit(constants.ENDPOINT)
    return parts.netloc.rpartition("@")[2] or constants.ENDPOINT


def redacted(text: str) -> str:
    """One line of text without anything secret."""
    from huggingface_hub import get_token

    token = os.environ.get("HF_TOKEN") or get_token()
    if token:
        text = text.replace(token, "<token>")
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _access(error: BaseException) -> tuple[str, str, str] | None:
    """What is not there, or not for everybody."""
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return UNREACHABLE, "not in the cache, and HF_HUB_OFFLINE is set", "unset it to download"
    if isinstance(error, errors.GatedRepoError):
        return NO_ACCESS, "gated: its owners decide who may download", f"ask on its page at {host()}, then {LOG_IN}"
    if isinstance(error, errors.DisabledRepoError):
        return NO_ACCESS, f"disabled at {host()}", ""
    if isinstance(error, errors.RepositoryNotFoundError):
        return NO_ACCESS, f"no such repository at {host()}, or a private one", f"if it is private, {LOG_IN}"
    if isinstance(error, errors.RevisionNotFoundError):
        return NO_ACCESS, "the repository has no such revision", "a branch, a tag or a commit stands behind the @"
    if isinstance(error, errors.RemoteEntryNotFoundError):
        return NO_ACCESS, "the repository has no such file", "its page lists them"
    return None


def _status(error: BaseException) -> tuple[str, str, str] | None:
    """What a server answered that would not do it."""
    from huggingface_hub.errors import HfHubHTTPError

    if not isinstance(error, HfHubHTTPError):
        return None
    status, words = error.response.status_code, (error.server_message or "").strip()[:LONGEST]
    if status == 401:
        return NO_ACCESS, f"{host()} does not accept the token, or wants one", LOG_IN
    if status == 403:
        return (
            NO_ACCESS,
            f"the token may not do this{f': {words}' if words else ''}",
            "a push needs write access",
        )
    if status in (409, 412):
        return NOT_PUSHED, "somebody else has committed meanwhile, so nothing was pushed", "look at it and push again"
    if status == 429:
        return UNREACHABLE, f"{_asked(error)} wants fewer requests (429)", "try again later"
    if status >= 500:
        return UNREACHABLE, f"{_asked(error)} answers {status}", AGAIN
    return NOT_PUSHED, f"{_asked(error)} answers {status}{f': {words}' if words else ''}", ""


def _network(error: BaseException) -> tuple[str, str, str] | None:
    """What became of the connection."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if "TimeoutException" in names:
        return UNREACHABLE, f"no answer from {_asked(error)} in time", "try again, or raise HF_HUB_DOWNLOAD_TIMEOUT"
    if "ConnectError" in names:
        return (
            UNREACHABLE,
            f"{_asked(error)} cannot be reached: {_reason(error)}",
            "HF_ENDPOINT names a mirror",
        )
    if "TransportError" in names:
        return UNREACHABLE, f"the connection to {_asked(error)} broke off", AGAIN
    if names & {"FileMetadataError", "KeyError", "JSONDecodeError"}:
        return (
            NOT_WHAT_IT_SAID,
            f"{host()} does not answer as a Hub does",
            "HF_ENDPOINT names a Hub or a mirror",
        )
    if re.search("xet-(read|write)-token", str(error)):
        return UNREACHABLE, f"{host()} does not speak Xet", "HF_HUB_DISABLE_XET=1 does without"
    sizes = re.search(r"file should be of size (\d+) but has size (\d+)", str(error))
    if isinstance(error, OSError) and sizes:
        return NOT_WHAT_IT_SAID, f"incomplete: {int(sizes[2]):,} of {int(sizes[1]):,} bytes came", AGAIN
    return None


def _asked(error: BaseException) -> str:
    """The server that was asked: the Hub, or the storage it names."""
    request = getattr(getattr(error, "response", error), "_request", None)
    return host() if request is None else str(request.url.netloc, "ascii").rpartition("@")[2]


def _reason(error: BaseException) -> str:
    return re.sub(r"\[Errno -?\d+\] ", "", str(error)).lower()


def _disk(error: BaseException) -> tuple[str, str, str] | None:
    """What the disk said."""
    from huggingface_hub import constants

    if not isinstance(error, OSError) or error.errno is None:
        return None
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    where = error.filename or constants.HF_HUB_CACHE
    hint = "make room, or set HF_HUB_CACHE" if full else "set HF_HUB_CACHE to a folder that can be written"
    return UNREACHABLE, f"{where}: {(error.strerror or 'cannot be used').lower()}", hint


def _other(error: BaseException) -> tuple[str, str, str]:
    return NOT_PUSHED, str(error)[:LONGEST] or type(error).__name__, ""
