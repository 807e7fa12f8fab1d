"""Places where a ledger can lie: a folder, a `file://` URL, an object store that speaks S3."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from loop.ledger import TABLES


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The URL of an empty bucket on an S3 server of this test session, which the environment points to.

    The server is a process of its own: deltalake's client keeps the interpreter lock while it waits for an answer.
    """
    pytest.importorskip("moto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        create_bucket(endpoint)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", endpoint)
            patch.setenv("AWS_ALLOW_HTTP", "true")
            patch.setenv("AWS_ACCESS_KEY_ID", "key")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
            patch.setenv("AWS_REGION", "us-east-1")
            yield "s3://ratchet"
    finally:
        server.terminate()
        server.wait()


def create_bucket(endpoint: str) -> None:
    """Make the bucket as soon as the server answers."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError):
            request = urllib.request.Request(f"{endpoint}/ratchet", method="PUT")
            urllib.request.urlopen(request, timeout=30).close()
            return
        if time.monotonic() > deadline:
            raise TimeoutError("the S3 server did not start")
        time.sleep(0.05)


@pytest.fixture(params=["folder", "file", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for a ledger, of each kind in turn."""
    if request.param == "s3":
        return f"{request.getfixturevalue('bucket')}/{uuid.uuid4().hex}"
    folder = tmp_path / "ledger"
    return folder.as_uri() if request.param == "file" else str(folder)


def keep_tables(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """A ledger of these tables only: to claim all of them takes the S3 server a second."""
    for table in set(TABLES) - set(names):
        monkeypatch.delitem(TABLES, table)
