"""Whether the Hub can be reached at all. Where it cannot, the client tries for half a minute before it says so."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    from httpx2 import HTTPError

SOMEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses of no machine, kept for documents. RFC 5737, RFC 3849."""


def unreachable() -> HTTPError | None:
    """The client's own error where its retries cannot help, and None where they may.

    Certain are two cases: the Hub's name does not exist, or it cannot be looked up and this machine has no network.
    A look-up that only fails for now, and a proxy, which looks names up itself, stay the client's business.
    """
    from httpx2 import ConnectError
    from huggingface_hub import constants

    hub = urlsplit(constants.ENDPOINT)
    if constants.HF_HUB_OFFLINE or hub.hostname is None or proxied(hub):
        return None
    try:
        socket.getaddrinfo(hub.hostname, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return ConnectError(str(error)) if error.errno == socket.EAI_NONAME or not connected() else None
    except UnicodeError as error:  # no name can be so
        return ConnectError(str(error))
    return None


def proxied(hub: SplitResult) -> bool:
    """Whether the environment names a proxy for this address."""
    proxies = getproxies()
    return bool(proxies.get(hub.scheme) or proxies.get("all")) and not proxy_bypass(hub.hostname or "")


def connected() -> bool:
    """Whether a packet would find a way out of this machine. None is sent."""
    for family, address in SOMEWHERE:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 53))
            return True
    return False
