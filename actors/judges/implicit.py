"""The reward that two policies imply: how much likelier a response is under one than under the other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import fsum, isfinite
from typing import TYPE_CHECKING, Protocol

from actors.judges.classified import NOT_A_NUMBER
from actors.judges.engines import EnginesSpeaker
from actors.judges.inputs import part_of, strings_of_turns
from actors.judges.models import end_token, ends_of, model_version
from actors.judges.tally import Tally
from actors.judges.transformers_host import TransformersSpeaker
from loop.config import ModelConfig, Template
from loop.errors import Refused
from loop.judge_config import Backend, ImplicitConfig, Reduce, TooLong
from loop.judges.judge import Asked, Reply
from loop.judges.ordinary import PieceEncoder
from loop.judges.splicing import TOO_LONG
from loop.prompts.encoding import TemplateRefused, encode
from loop.prompts.tokenizer import load_tokenizer
from loop.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Text:
    """A response after its prompt, as one model's token ids: it begins at position `start` and lost `cut` tokens."""

    tokens_T: list[int]
    start: int
    cut: int


class Implicit:
    """Scores single responses by beta * (log p under `model` - log p under `weak`), sums or means over a response's
    tokens, its end token included. Models with different tokenizers read each their own tokens of the same text.
    `current` is asked at the engines; without any it is the model with which a run would begin.

    Raises: Refused for a model that cannot be loaded.
    """

    def __init__(self, config: ImplicitConfig, initial: ModelConfig, engines: EnginesSpeaker | None = None) -> None:
        if config.backend is not Backend.transformers:
            raise Refused(f"judge.backend={config.backend.value}: judge=implicit runs on transformers only.")
        self.config = config
        self.model = _policy(config, config.model, config.revision, initial, engines)
        self.weak = (
            self.model
            if (config.weak, config.weak_revision) == (config.model, config.revision)
            else _policy(config, config.weak, config.weak_revision, initial, engines)
        )
        self._tally = Tally()

    def version(self, policy: str) -> str:
        """The two models; of the current policy the version that the engines serve."""
        names = [one.name.replace("{policy}", policy) for one in (self.model, self.weak)]
        return f"implicit-{'-'.join(names)}"

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """As `Judge.answer`, of pointwise questions."""
        if any(len(one.texts) != 1 for one in asked):
            raise ValueError("an implicit reward scores one response at a time")
        with self._tally.timed():
            replies = self._answer(asked, policy)
        self._tally.questions += len(asked)
        self._tally.cut += sum(reply.cut > 0 for reply in replies)
        self._tally.refused += sum(reply is TOO_LONG for reply in replies)
        return replies

    def usage(self) -> dict[str, float]:
        """As `Judge.usage`; a token that both models read counts twice."""
        return self._tally.usage()

    def _answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        strong = [self.model.text(one, self.config) for one in asked]
        weak = strong if self.weak is self.model else [self.weak.text(one, self.config) for one in asked]
        pairs = [(a, b) for a, b in zip(strong, weak, strict=True) if isinstance(a, Text) and isinstance(b, Text)]
        ours = self._read(self.model, [a for a, _ in pairs], policy)
        theirs = ours if self.weak is self.model else self._read(self.weak, [b for _, b in pairs], policy)
        scored = (
            replace(self._reply(p, q), cut=max(a.cut, b.cut)) for (a, b), p, q in zip(pairs, ours, theirs, strict=True)
        )
        return [
            a if isinstance(a, Reply) else b if isinstance(b, Reply) else next(scored)
            for a, b in zip(strong, weak, strict=True)
        ]

    def _read(self, model: _Policy, texts: Sequence[Text], policy: str) -> list[float]:
        """The responses' log-probs, summed or averaged over tokens."""
        self._tally.prompt_tokens += sum(len(text.tokens_T) for text in texts)
        each = model.reader.text_logprobs([text.tokens_T for text in texts], [text.start for text in texts], policy)
        return [fsum(logprobs) / (len(logprobs) if self.config.reduce is Reduce.mean else 1) for logprobs in each]

    def _reply(self, model: float, weak: float) -> Reply:
        score = self.config.beta * (model - weak)
        if not isfinite(score):
            return NOT_A_NUMBER
        return Reply(json.dumps({"score": score, "model": model, "weak": weak}), "decided", score)


class Reader(Protocol):
    """Where log-probs of texts come from."""

    def text_logprobs(self, inputs_T: Sequence[list[int]], starts: Sequence[int], policy: str) -> list[list[float]]:
        """Log-probs (nats) of every input's tokens from its position `start` >= 1 on, given all before."""
        ...


def _policy(
    config: ImplicitConfig, path: str, revision: str | None, initial: ModelConfig, engines: EnginesSpeaker | None
) -> _Policy:
    """One of the two models; `initial` and `current` are the policy's."""
    if path in ("initial", "current"):
        asked = engines if path == "current" else None
        path, revision = initial.path, initial.revision
        if asked is not None:
            return _Policy(path, revision, asked, "{policy}")
    hosted = TransformersSpeaker(replace(config, model=path, revision=revision))
    return _Policy(path, revision, hosted, model_version(path, revision))


class _Policy:
    """A causal language model with its own tokenizer and the token that ends its responses."""

    def __init__(self, path: str, revision: str | None, reader: Reader, name: str) -> None:
        self.tokenizer = load_tokenizer(path, revision)
        self.reader = reader
        self.name = name
        self._pieces = PieceEncoder(self.tokenizer, strings_of_turns(self.tokenizer))
        self._end = end_token(self.tokenizer, ends_of(path, revision))

    def text(self, asked: Asked, config: ImplicitConfig) -> Text | Reply:
        """The question's tokens, or why there are none."""
        try:
            prompt_T = prompt_tokens(self.tokenizer, asked.conversation)
        except TemplateRefused as error:
            return Reply(f"the model's chat template refuses the conversation: {error.reason}", "failed", None)
        response_T = [*self._pieces.untrusted(asked.texts[0], first=False), self._end]
        kept = min(len(response_T), config.max_context - len(prompt_T))
        cut = len(response_T) - kept
        if kept < 1 or (cut and config.too_long is TooLong.refuse):
            return TOO_LONG
        return Text(prompt_T + part_of(response_T, kept, config.too_long), len(prompt_T), cut)


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, conversation: Sequence[Message]) -> list[int]:
    """The conversation as a policy is given it: through the chat template with the generation prompt, or as plain text
    where it is one or the tokenizer has no template."""
    if tokenizer.chat_template and conversation[0]["role"] != "text":
        return encode(tokenizer, list(conversation), Template.chat)
    text = "\n".join(turn["content"] for turn in conversation)
    return encode(tokenizer, [{"role": "text", "content": text}], Template.none)
