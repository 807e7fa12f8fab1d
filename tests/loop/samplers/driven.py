"""A strategy driven through its steps by a scripted engine and judge, as rollout and judge actors drive it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from loop.records import Prompt, Response, digest_of
from loop.samplers import Draw, named_strategy
from loop.verdict import Group, Verdict

PROMPT = Prompt("p", json.dumps([{"role": "user", "content": "Well?"}]), [1, 2, 3], None, "file")

Writes = Callable[[Draw], str]
"""The engine: what it would write behind a draw's context, up to the end of the answer."""
Judges = Callable[[Response], float | None]


def tokens(text: str) -> list[int]:
    """A character is a token."""
    return [ord(letter) for letter in text]


@dataclass
class Driven:
    """A group of one prompt under way. With `shuffled`, the strategy sees its rows in another order at each step;
    draws for which `lost` is true come to nothing."""

    name: str
    options: dict[str, Any]
    writes: Writes
    judges: Judges
    k: int = 4
    prompt: Prompt = PROMPT
    shuffled: random.Random | None = None
    lost: Callable[[Draw], bool] = lambda draw: False
    rows: list[Response] = field(default_factory=list)
    values: dict[str, float | None] = field(default_factory=dict)
    draws: list[list[Draw]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many steps the group takes."""
        strategy, options, _ = named_strategy(self.name, self.options)
        return strategy.steps(options)

    def proposed(self, step: int) -> list[Draw]:
        """What the strategy wants in a step, of the rows as they are."""
        strategy, options, _ = named_strategy(self.name, self.options)
        rows = self.rows[:]
        if self.shuffled:
            self.shuffled.shuffle(rows)
        return strategy.propose(self.prompt, Group("p", tuple(rows)), self.values, options, step, self.k)

    def step(self, step: int) -> None:
        """One step: draws, answers and scores."""
        self.draws.append(self.proposed(step))
        made = [self._answered(draw) for draw in self.draws[-1] if not self.lost(draw)]
        self.rows += made
        self.values |= {one.response_id: self.judges(one) for one in made}

    def run(self) -> Driven:
        """All steps."""
        for step in range(self.steps):
            self.step(step)
        return self

    @property
    def group(self) -> Group:
        """The whole group."""
        return Group("p", tuple(self.rows))

    @property
    def verdict(self) -> Verdict:
        """Its scores."""
        return Verdict(scores_K=tuple(self.values[one.response_id] for one in self.rows))

    def _answered(self, draw: Draw) -> Response:
        written, finish = (self.writes(draw) if draw.text is None else draw.text), "end"
        text, own_T = written, [*tokens(written), 0]
        for stop in draw.stop:
            if stop in written:
                text, finish = written.split(stop)[0], "stop"
                own_T = tokens(text + stop)
        if draw.max_tokens is not None and len(own_T) > draw.max_tokens:
            text, own_T, finish = text[: draw.max_tokens], own_T[: draw.max_tokens], "length"
        behind_T = [9] if draw.turns and not draw.answers_prompt else [*self.prompt.tokens_T, *draw.prefix_T]
        return Response(
            response_id=digest_of(draw.purpose, draw.number),
            round=1,
            purpose=draw.purpose,
            policy="r0-s0",
            prompt_id="p",
            k=draw.number,
            prompt_tokens_T=behind_T,
            tokens_T=own_T,
            logprobs_T=[] if draw.turns else [-0.5] * len(own_T),
            loss_mask_T=[True] * len(own_T),
            text=draw.prefix + text,
            finish_reason=finish,
            seed=0,
            sampling="{}",
            tokenizer="t",
            parent=draw.parent,
        )
