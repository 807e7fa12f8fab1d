"""A reward model: one logit of a sequence classifier is a response's score."""

from __future__ import annotations

import json
from collections.abc import Sequence

from actors.judges.classified import Classified
from actors.judges.models import model_version, require_output
from loop.judge_config import RewardModelConfig
from loop.judges.judge import Asked, Reply


class RewardModel:
    """Scores single responses. Raises: Refused for a model that is no sequence classifier with such an output."""

    def __init__(self, config: RewardModelConfig) -> None:
        self._output = config.output
        self._classified = Classified(config, self._read)
        require_output(config, self._classified.classifier.outputs)
        self._version = f"reward_model-{model_version(config.model, config.revision)}-{config.output}"

    def version(self, policy: str) -> str:
        """The model and its output, the same for every policy."""
        return self._version

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """As `Judge.answer`, of pointwise questions."""
        if any(len(one.texts) != 1 for one in asked):
            raise ValueError("a reward model scores one response at a time")
        return self._classified.answer(asked)

    def usage(self) -> dict[str, float]:
        """As `Judge.usage`."""
        return self._classified.tally.usage()

    def _read(self, logits: Sequence[float]) -> Reply:
        score = logits[self._output]
        return Reply(json.dumps({"score": score}), "decided", score)
