"""Answers that are not what they should be: what a fault makes of the right reply."""

from __future__ import annotations

import json
from collections.abc import Callable

from .values import Reply


def status(code: int, **headers: str) -> Callable[[Reply], Reply]:
    """An error instead of an answer."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return lambda reply: Reply(code, named, json.dumps({"error": "broken on purpose"}).encode())


def dropped(after: int) -> Callable[[Reply], Reply]:
    """The connection breaks off inside the body."""
    return lambda reply: Reply(reply.status, reply.headers, reply.body, drop=min(after, max(len(reply.body) - 1, 0)))


def cut(reply: Reply) -> Reply:
    """Half of the body, and headers that say that this was all."""
    return Reply(reply.status, reply.headers, reply.body[: len(reply.body) // 2])


def flipped(reply: Reply) -> Reply:
    """One bit in the middle is another."""
    body = bytearray(reply.body)
    body[len(body) // 2] ^= 1
    return Reply(reply.status, reply.headers, bytes(body))


def headed(**changes: str | None) -> Callable[[Reply], Reply]:
    """Other headers; None takes one away."""
    named = {key.replace("_", "-").lower(): value for key, value in changes.items()}

    def change(reply: Reply) -> Reply:
        kept = {key: value for key, value in reply.headers.items() if key.lower() not in named}
        added = {key: value for key, value in named.items() if value is not None}
        return Reply(reply.status, {**kept, **added}, reply.body, length=reply.length)

    return change
