"""A server that says what it was asked, for tests."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.loop.judges.remote.faults import LoopbackServer, write

LOGPROBS = {"A": math.log(0.6), " B": math.log(0.2), "C": math.log(0.1)}


def echo(body: dict[str, Any]) -> str:
    """The last message."""
    return str(body["messages"][-1]["content"])


class StubServer(LoopbackServer):
    """Answers every request with a text that follows from its body, and with `LOGPROBS` where they are wanted. A status
    in place of a text is an error. `reason` is why texts end."""

    def __init__(self, say: Callable[[dict[str, Any]], str | int] = echo, reason: str | None = "stop") -> None:
        super().__init__()
        self.say = say
        self.reason = reason

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        asked = json.loads(body)
        said = self.say(asked)
        if isinstance(said, int):
            return write(handler, said, b"{}")
        choice: dict[str, Any] = {"message": {"role": "assistant", "content": said}, "finish_reason": self.reason}
        if asked.get("logprobs"):
            top = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in LOGPROBS.items()]
            choice["logprobs"] = {"content": [{"token": "A", "logprob": LOGPROBS["A"], "top_logprobs": top}]}
        told = {"choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 2}}
        return write(handler, 200, json.dumps(told).encode(), {"Content-Type": "application/json"})
