"""A pairwise preference model: a classifier that reads both responses, or a language model's two label tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence

from actors.judges.classified import Classified
from actors.judges.hosts import speaker_of
from actors.judges.models import model_version, require_pair
from loop.errors import Refused
from loop.judge_config import PairHead, PairModelConfig
from loop.judges.judge import Asked, Judge, Reply
from loop.judges.template import load_template
from loop.judges.text_judge import TextJudge
from loop.prompts.tokenizer import load_tokenizer
from loop.verdicts import sigmoid


class PairModel:
    """P(first response is better). Raises: Refused for a model or template that does not suit `judge.head`."""

    def __init__(self, config: PairModelConfig) -> None:
        name = f"pair_model-{model_version(config.model, config.revision)}"
        self._judge: Judge = Segments(config, name) if config.head is PairHead.classifier else _tokens(config, name)

    def version(self, policy: str) -> str:
        """The model, and the template that it is shown."""
        return self._judge.version(policy)

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """As `Judge.answer`, of pairwise questions."""
        if any(len(one.texts) != 2 for one in asked):
            raise ValueError("a pairwise preference model compares two responses")
        return self._judge.answer(asked, policy)

    def usage(self) -> dict[str, float]:
        """As `Judge.usage`."""
        return self._judge.usage()


def _tokens(config: PairModelConfig, name: str) -> TextJudge:
    if config.template is None:
        raise Refused("judge.head=tokens needs judge.template, a file of conf/templates that asks for a preference.")
    template = load_template(config.template)
    if template.asks != "preference":
        raise Refused(
            f"judge.template={config.template} asks for a {template.asks}, and a pair model gives preferences."
        )
    tokenizer = load_tokenizer(config.model, config.revision)
    return TextJudge(config.asked(), template, tokenizer, speaker_of(config), name)


class Segments:
    """A classifier that is shown the conversation with each response, as two segments."""

    def __init__(self, config: PairModelConfig, name: str) -> None:
        self._name = name
        self._classified = Classified(config, preference_of)
        require_pair(config, self._classified.classifier.outputs)

    def version(self, policy: str) -> str:
        return self._name

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        return self._classified.answer(asked)

    def usage(self) -> dict[str, float]:
        return self._classified.tally.usage()


def preference_of(logits: Sequence[float]) -> Reply:
    """P(first is better) from one logit, or from those of first and second; undecided where it is exactly one half."""
    first = sigmoid(logits[0] if len(logits) == 1 else logits[0] - logits[1])
    return Reply(json.dumps({"first": first}), "undecided" if first == 0.5 else "decided", first)
