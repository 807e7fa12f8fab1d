"""Questions that a sequence classifier answers: from what is asked to its logits, and what it cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isfinite

import jinja2

from actors.judges.hosts import classifier_of
from actors.judges.inputs import Fitted, InputEncoder
from actors.judges.tally import Tally
from loop.judge_config import HostedConfig
from loop.judges.judge import Asked, Reply
from loop.judges.splicing import TOO_LONG
from loop.prompts.tokenizer import load_tokenizer

NOT_A_NUMBER = Reply("the model's output is not a finite number", "failed", None)


class Classified:
    """A classifier with the tokenizer beside it. `read` turns the finite logits `[outputs]` of one question into its
    reply. Raises: Refused for a model that cannot be loaded as a classifier."""

    def __init__(self, config: HostedConfig, read: Callable[[Sequence[float]], Reply]) -> None:
        self.config = config
        self.read = read
        self.encoder = InputEncoder(load_tokenizer(config.model, config.revision))
        self.classifier = classifier_of(config)
        self.tally = Tally()

    def answer(self, asked: Sequence[Asked]) -> list[Reply]:
        """One reply per question. Inputs that are alike pass through the model once, so equal responses are equal."""
        with self.tally.timed():
            fitted = [self._fitted(one) for one in asked]
            inputs = list(dict.fromkeys(_key(one) for one in fitted if isinstance(one, Fitted)))
            models = {_key(one): one.input for one in fitted if isinstance(one, Fitted)}
            logits = dict(zip(inputs, self.classifier.logits([models[key] for key in inputs]), strict=True))
            self.tally.questions += len(asked)
            self.tally.cut += sum(isinstance(one, Fitted) and one.cut > 0 for one in fitted)
            self.tally.refused += sum(one is TOO_LONG for one in fitted)
            self.tally.prompt_tokens += sum(len(model.tokens_T) for model in models.values())
            return [self._reply(one, logits[_key(one)]) if isinstance(one, Fitted) else one for one in fitted]

    def _fitted(self, asked: Asked) -> Fitted | Reply:
        try:
            found = self.encoder.fitted(asked.conversation, asked.texts, self.config.max_context, self.config.too_long)
        except jinja2.TemplateError as error:
            return Reply(f"the model's chat template refuses the conversation: {error}", "failed", None)
        return found or TOO_LONG

    def _reply(self, fitted: Fitted, logits: Sequence[float]) -> Reply:
        reply = self.read(logits) if all(map(isfinite, logits)) else NOT_A_NUMBER
        return replace(reply, cut=fitted.cut)


def _key(fitted: Fitted) -> tuple[int | None, tuple[int, ...]]:
    return fitted.input.second, tuple(fitted.input.tokens_T)
