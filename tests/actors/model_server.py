"""vLLM's own OpenAI-compatible server with the demo's policy, for tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from actors.cluster import QUIET, pinned
from loop.composition import CONF

MODEL = "demo"
"""The name under which the server knows the policy."""
START_S, END_S = 400.0, 30.0


@dataclass(frozen=True, slots=True)
class ModelServer:
    """A server that was started and may not be ready yet; its own process writes to `log`."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait(self) -> None:
        """Until it answers."""
        health, deadline = self.url.removesuffix("v1") + "health", time.monotonic() + START_S
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(health, timeout=10.0).is_success:
                    return
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()[-3000:]
            time.sleep(0.2)


@contextmanager
def model_server(folder: Path, key: str) -> Iterator[ModelServer]:
    """A server on a free port of the loopback, which takes this key only. It compiles nothing: a model of this size
    answers at once. Its engine is a process of its own, so the whole session is ended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "model": CONF / "demo" / "policy",
        "served-model-name": MODEL,
        "host": "127.0.0.1",
        "port": port,
        "dtype": "float32",
        "max-model-len": 256,
        "max-num-seqs": 16,
        "max-num-batched-tokens": 4096,
        "block-size": 32,
        "kv-cache-memory-bytes": 100 << 20,
    }
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--enforce-eager"]
    command += ["--no-enable-chunked-prefill", "--disable-uvicorn-access-log"]
    command += [f"--{name}={value}" for name, value in settings.items()]
    environment = {
        **{name: value for name, value in os.environ.items() if name != "VLLM_ENABLE_V1_MULTIPROCESSING"},
        **QUIET,
        **pinned(1),
        "TORCHDYNAMO_DISABLE": "1",
        "VLLM_API_KEY": key,
        "VLLM_LOGGING_LEVEL": "WARNING",
    }
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield ModelServer(f"http://127.0.0.1:{port}/v1", process, log)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number, patience_s in ((signal.SIGTERM, END_S), (signal.SIGKILL, END_S)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    assert process.poll() is not None
