"""A proxy in front of an OpenAI-compatible server that does to each request what the next fault says."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit


class LoopbackServer(ABC):
    """An HTTP server on a free port of the loopback, in threads. `answer` says what becomes of a POST."""

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with outer.lock:
                    outer.bodies.append(json.loads(body))
                    outer.keys.append(self.headers.get("authorization"))
                    outer.in_flight += 1
                    outer.most_in_flight = max(outer.most_in_flight, outer.in_flight)
                try:
                    with suppress(ConnectionError):
                        outer.answer(self, body)
                finally:
                    with outer.lock:
                        outer.in_flight -= 1

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is part of the test."""

        self.lock = threading.Lock()
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.in_flight = self.most_in_flight = 0
        self.over = threading.Event()
        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @abstractmethod
    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """Write a response."""

    def __enter__(self):  # type: ignore[no-untyped-def]
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


def write(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    """A whole response."""
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


class FaultyProxy(LoopbackServer):
    """Forwards to `upstream_url` (up to `/v1`), but for faults. One fault is taken per request; when there is none
    left, and for `ok`, the request goes through.

    `429`, `500`, ...: that status, with a body that echoes the key; `429:7` also with `Retry-After: 7`. `slow`: no
    answer until the proxy closes. `cut`: no answer, connection closed. `half`: closed in the middle. Of a real answer:
    `invalid_json`, `wrong_shape`, `empty_choices`, `no_logprobs`, `no_numbers`.
    """

    def __init__(self, upstream_url: str, faults: Iterator[str]) -> None:
        super().__init__()
        self.upstream = urlsplit(upstream_url)
        self.faults = faults

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        with self.lock:
            fault = self.fault(body)
        name, _, detail = fault.partition(":")
        if name.isdigit():
            echo = json.dumps({"error": handler.headers.get("authorization")}).encode()
            write(handler, int(name), echo, {"Retry-After": detail} if detail else None)
        elif name in ("slow", "cut"):
            if name == "slow":
                self.over.wait()
            handler.close_connection = True
        else:
            self._forward(handler, body, name)

    def fault(self, body: bytes) -> str:
        """What becomes of a request; one call at a time."""
        return next(self.faults, "ok")

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes, fault: str) -> None:
        connection = HTTPConnection(self.upstream.hostname or "", self.upstream.port, timeout=600)
        try:
            kept = {name: value for name, value in handler.headers.items() if name.lower() not in HOP}
            connection.request("POST", handler.path, body, kept)
            response = connection.getresponse()
            status, told = response.status, response.read()
        finally:
            connection.close()
        told = spoiled(told, fault) if status == 200 else told
        if fault == "half":
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(told)))
            handler.end_headers()
            handler.wfile.write(told[: len(told) // 2])
            handler.close_connection = True
        else:
            write(handler, status, told, {"Content-Type": "application/json"})


class FirstAttempts(FaultyProxy):
    """The next fault befalls the first attempt at each question; a further one goes through."""

    def fault(self, body: bytes) -> str:
        first = self.bodies.count(json.loads(body)) == 1
        return super().fault(body) if first else "ok"


class MostQuestions(FaultyProxy):
    """Of each question all attempts meet the same fault, four questions of five one."""

    def __init__(self, upstream_url: str) -> None:
        super().__init__(upstream_url, cycle(["500", "empty_choices", "500", "ok", "invalid_json"]))
        self.fates: dict[bytes, str] = {}

    def fault(self, body: bytes) -> str:
        if body not in self.fates:
            self.fates[body] = super().fault(body)
        return self.fates[body]


HOP = {"host", "connection", "accept-encoding", "content-length"}


def spoiled(told: bytes, fault: str) -> bytes:
    """An answer with a fault in it."""
    if fault == "invalid_json":
        return b"<html>Bad gateway</html>"
    if fault == "wrong_shape":
        return b'{"choices": [{"message": "hello"}]}'
    if fault in ("ok", "half"):
        return told
    answer = json.loads(told)
    if fault == "empty_choices":
        answer["choices"] = []
    elif fault == "no_logprobs":
        answer["choices"][0]["logprobs"] = None
    elif fault == "no_numbers":
        answer["choices"][0]["logprobs"] = {"content": [{"top_logprobs": [{"token": "A", "logprob": float("nan")}]}]}
    else:
        raise ValueError(f"no such fault: {fault}")
    return json.dumps(answer).encode()
