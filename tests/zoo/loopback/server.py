"""A Hub on loopback: the protocol of huggingface.co as huggingface_hub speaks it, over real HTTP, kept in memory.

Repositories with commits, branches and pull requests; plain and LFS uploads (single and in parts, verified); downloads
that are redirected to a second server with signed addresses, with ranges and etags; private and gated repositories.
Faults are put in front of any request: see :class:`Fault`.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from .contents import Contents
from .values import Fault, Reply, Request, Seen


class Server(ThreadingHTTPServer):
    """A thread for each connection; clients that go away are no news."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Hub(Contents):
    """The server. ``url`` is its endpoint; what is large comes from another port."""

    def __init__(self) -> None:
        self.released = threading.Event()
        super().__init__()
        hub = self

        class Bound(Handler):
            server_hub = hub

        self.servers = [Server(("127.0.0.1", 0), Bound) for _ in range(2)]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url, self.storage = (f"http://127.0.0.1:{server.server_address[1]}" for server in self.servers)

    def reset(self) -> None:
        """Nothing is there, nothing is asked or goes wrong, and nobody waits."""
        super().reset()
        self.released.set()
        self.released = threading.Event()
        self.faults: list[Fault] = []
        self.requests: list[Seen] = []

    def close(self) -> None:
        self.released.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def hang(self, reply: Reply) -> Reply:
        """No answer until the test is over."""
        self.released.wait()
        return Reply(drop=-1)

    def fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 for one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else the body waits 40 ms for the client to acknowledge the headers
    server_hub: Hub

    def handle_one(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        address = urlsplit(self.path)
        request = Request(self.command, address.path, address.query, self.headers, body)
        hub = self.server_hub
        hub.requests.append(Seen(self.command, self.path, {key.lower(): value for key, value in self.headers.items()}))
        fault = hub.fault(request.method, request.path)
        reply = Reply() if fault and fault.instead and request.method in ("POST", "PUT") else hub.answer(request)
        self.send(fault.change(reply) if fault else reply)

    do_GET = do_HEAD = do_POST = do_PUT = handle_one

    def chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def send(self, reply: Reply) -> None:
        if reply.drop == -1:
            return self.break_off()
        self.send_response(reply.status)
        length = reply.length if reply.length is not None else len(reply.body)
        for key, value in {"Content-Length": str(length), **reply.headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body if reply.drop is None else reply.body[: reply.drop])
        if reply.drop is not None:
            self.break_off()
        return None

    def break_off(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the tests look at the requests."""
