"""A language model at a server as judge."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from loop.errors import Refused
from loop.judge_config import LlmConfig, ReadBy, TooLong
from loop.judges.judge import Asked, Reply
from loop.judges.remote.client import Client
from loop.judges.remote.controls import escape_controls
from loop.judges.remote.exchange import Completion, Failure
from loop.judges.remote.questions import read, request, written_tokens
from loop.judges.remote.shortening import shortened
from loop.judges.template import load_template, messages
from loop.judges.text_judge import NO_REFERENCE


class RemoteJudge:
    """Asks a server for verdicts. What it shows is text that the server tokenises, so chat-control strings in it are
    made visible first. A pickled judge arrives unused. Raises: Refused for a URL or a template that does
    not do."""

    def __init__(self, config: LlmConfig) -> None:
        if not config.server.url:
            raise Refused("judge.server.url is missing: with judge.backend=server it names the server, up to /v1")
        self.config = config
        self.template = load_template(config.template)
        if config.read is ReadBy.probabilities and self.template.begin and not config.server.vllm:
            raise Refused(
                f"judge template {self.template.name} begins the judge's reply, which only vLLM's server lets one do: "
                "take judge.server.vllm=true, judge.read=text, or a template without `begin`"
            )
        if config.read is ReadBy.probabilities and (pair := _begun_alike(self.template.verdicts)):
            raise Refused(
                f"judge template {self.template.name}: the verdict {pair[0]!r} is how {pair[1]!r} begins, and one "
                "token may stand for either: take judge.read=text, judge.read=constrained or other verdicts"
            )
        self.client = Client(config.server, config.model, config.revision)
        self.questions = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return RemoteJudge, (self.config,)

    def version(self, policy: str) -> str:
        """Model, revision, template and how the verdict is read; not where the server is."""
        model = f"{self.config.model}@{self.config.revision}" if self.config.revision else self.config.model
        return f"{model}-server-{self.template.digest[:8]}-{self.config.read.value}"

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """As `Judge.answer`. How long a question is in tokens only the server knows: one that it refuses is failed, or
        asked again with shorter responses where `judge.too_long` cuts them. Raises: Refused as `Client.complete`."""
        self.questions += len(asked)
        lacking = self.template.shows_reference
        shown = {p: self._escaped(one) for p, one in enumerate(asked) if not (lacking and one.answer is None)}
        outcomes = self._ask(shown)
        refused = [p for p, outcome in outcomes.items() if isinstance(outcome, Failure) and outcome.kind == "refused"]
        replies = {p: self._reply(outcome) for p, outcome in outcomes.items()}
        if self.config.too_long is not TooLong.refuse:
            replies |= self._ask_shorter({p: shown[p] for p in refused})
        return [replies.get(p, NO_REFERENCE) for p in range(len(asked))]

    def usage(self) -> dict[str, float]:
        """As `loop.judges.remote.counters.Counters`, and `questions`."""
        return {**self.client.counters.told(), "questions": self.questions}

    def _ask(self, asked: Mapping[int, Asked]) -> dict[int, Completion | Failure]:
        requests = [request(self.config, self.template, one) for one in asked.values()]
        return dict(zip(asked, self.client.complete(requests), strict=True))

    def _ask_shorter(self, refused: Mapping[int, Asked]) -> dict[int, Reply]:
        """Replies to those of the refused questions that can be made shorter."""
        room = self.config.max_context - written_tokens(self.config)
        shorter = {
            p: found
            for p, one in refused.items()
            if (found := shortened(one, messages(self.template, one), room, self.config.too_long)) is not None
        }
        outcomes = self._ask({p: found.asked for p, found in shorter.items()})
        return {p: replace(self._reply(outcome), cut=shorter[p].cut) for p, outcome in outcomes.items()}

    def _escaped(self, asked: Asked) -> Asked:
        def visibly(text: str) -> str:
            escaped, count = escape_controls(text)
            self.client.counters.escaped += count
            return escaped

        return replace(
            asked,
            conversation=[{key: visibly(value) for key, value in turn.items()} for turn in asked.conversation],
            texts=tuple(visibly(text) for text in asked.texts),
            answer=None if asked.answer is None else visibly(asked.answer),
        )

    def _reply(self, outcome: Completion | Failure) -> Reply:
        if isinstance(outcome, Failure):
            return Reply(json.dumps({outcome.kind: outcome.why}), "failed", None)
        return read(self.config, self.template, outcome)


def _begun_alike(verdicts: Sequence[str]) -> tuple[str, str] | None:
    """A verdict with which another one begins, and that one."""
    return next(((a, b) for a in verdicts for b in verdicts if a != b and b.startswith(a)), None)
