"""One attempt: a request over HTTP, and what came of it."""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
from urllib.parse import urlsplit

import httpx

from loop.errors import Refused
from loop.judge_config import ServerConfig
from loop.judges.remote.backoff import of_status
from loop.judges.remote.exchange import LIMIT, Completion, Failure, Request, read_completion, refuses_limit

MAX_BODY = 8 << 20
"""Bytes of an answer that are read; a longer one is nonsense."""


def check_url(url: str) -> str:
    """The server's host and port, for messages. Raises: Refused for what is no URL of a server, or holds a password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        raise Refused("judge.server.url is not a URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise Refused("judge.server.url must be like https://HOST/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Refused("judge.server.url must hold no password and no query; a key belongs in judge.server.key_variable")
    return f"{host}:{port}" if port else host


def headers(key_variable: str) -> dict[str, str]:
    """With the key as it stands in the environment now. Raises: Refused for a key that no header can carry."""
    told = {"content-type": "application/json"}
    if key := os.environ.get(key_variable, "").strip():
        if not (key.isascii() and key.isprintable()):
            raise Refused(f"the key in ${key_variable} holds characters that an HTTP header cannot carry")
        told["authorization"] = f"Bearer {key}"
    return told


def http_client(concurrency: int) -> httpx.AsyncClient:
    """Connections for one batch. The number of requests in flight is the caller's matter, and so is time."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=concurrency)
    return httpx.AsyncClient(verify=_certificates(), limits=limits, timeout=None)


@functools.cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()


async def send(
    http: httpx.AsyncClient, settings: ServerConfig, model: str, request: Request, limit: str = LIMIT
) -> tuple[Completion | Failure, str | None]:
    """The completion or the failure, and the `Retry-After` header; `limit` as in `Request.body`. Raises: Refused where
    every request would fail."""
    url = f"{settings.url.rstrip('/')}/chat/completions"
    try:
        async with (
            asyncio.timeout(settings.timeout_s),
            http.stream(
                "POST", url, content=request.body(model, limit), headers=headers(settings.key_variable)
            ) as response,
        ):
            body = b""
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > MAX_BODY:
                    return Failure("wrong_shape", "the server answers without end"), None
    except (TimeoutError, httpx.TimeoutException):
        return Failure("timeout", "the server did not answer within judge.server.timeout_s"), None
    except httpx.TransportError:
        return Failure("cut", "the connection to the server failed"), None
    except httpx.DecodingError:
        return Failure("invalid_json", "the server answers in an encoding that it does not keep to"), None
    if response.is_success:
        return read_completion(body, bool(request.options.get("logprobs"))), None
    if response.status_code == 400 and limit == LIMIT and refuses_limit(body):
        return Failure("other_limit", "the server wants another name for the longest reply"), None
    failure = of_status(response.status_code, check_url(settings.url), model, settings.key_variable)
    return failure, response.headers.get("retry-after")
