"""The reward model's folder: weights, tokenizer and the model card with its scores."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Qwen2ForSequenceClassification, Qwen2Tokenizer

from loop.demo.rated import draw_rated
from loop.demo.reward_model import Exchange, score_exchanges
from loop.demo.task import Pool

NEAR = 4  # wrong answers of the right one's length, per instruction
SCORE_SEED = 1

CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-classification
---

# Demo reward model

A Qwen2 of {parameters:,} parameters (bfloat16) with one output, over bytes, with ChatML turns. It scores an answer to a
one-line instruction on a five-letter word (`Next: qkzbf`): the logit that it is right. The input is the exchange as the
chat template writes it, without a generation prompt, of up to 512 tokens.

Made from the demo policy by `python -m loop.demo.train_reward_model --out DIR --seed {seed}`. On {instructions:,}
instructions each, on words that it was not trained on (of the rounds; held out):

- right answer above a wrong one of about its length ({near} each): {rounds.near:.4f}; {held_out.near:.4f}
- right answer above an answer with up to 250 bytes of text after it: {rounds.appended:.4f}; {held_out.appended:.4f}
- right answer above a wrong one with such text: {rounds.wrong_appended:.4f}; {held_out.wrong_appended:.4f}
- right answers with a positive score: {rounds.right_positive:.4f}; {held_out.right_positive:.4f}
- wrong answers of any kind with a negative score: {rounds.wrong_negative:.4f}; {held_out.wrong_negative:.4f}

Licence: Apache-2.0. No outside data or weights went into it.
"""


@dataclass(frozen=True)
class RewardReport:
    """Fractions of 1 over the pairs of `instructions`, as the card words them."""

    instructions: int
    near: float
    appended: float
    wrong_appended: float
    right_positive: float
    wrong_negative: float

    def __str__(self) -> str:
        return (
            f"right above near {self.near:.4f}, above appended {self.appended:.4f}, above wrong and appended "
            f"{self.wrong_appended:.4f}, right positive {self.right_positive:.4f}, "
            f"wrong negative {self.wrong_negative:.4f} ({self.instructions} instructions)"
        )


def score_reward_model(
    model: Qwen2ForSequenceClassification, tokenizer: Qwen2Tokenizer, pool: Pool, instructions: int
) -> RewardReport:
    """The scores of right and wrong answers to instructions on words of `pool`."""
    rng = random.Random(f"{pool.name}/{SCORE_SEED}")
    rated = [draw_rated(pool, NEAR, rng) for _ in range(instructions)]
    columns = NEAR + 3
    exchanges = [
        Exchange(r.item.prompt, answer, r.item.answer, controls)
        for r in rated
        for answer, controls in [
            (r.item.answer, False),
            *((near, False) for near in r.near),
            (r.appended, False),
            (r.appended, True),
        ]
    ]
    right, near, appended = score_exchanges(model, tokenizer, exchanges).view(-1, columns).split([1, NEAR, 2], dim=1)
    above = right > appended
    wrong_base = torch.tensor([r.base != r.item.answer for r in rated])
    return RewardReport(
        instructions=instructions,
        near=_share(right > near),
        appended=_share(above),
        wrong_appended=_share(above[wrong_base]),
        right_positive=_share(right > 0),
        wrong_negative=_share(torch.cat([near, appended], dim=1) < 0),
    )


def _share(marks: torch.Tensor) -> float:
    return marks.double().mean().item()


def save_reward_model(
    folder: Path, model: Qwen2ForSequenceClassification, tokenizer: Qwen2Tokenizer
) -> Qwen2ForSequenceClassification:
    """Stores the model in bfloat16 and returns it as read back from the folder, in float32."""
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Qwen2ForSequenceClassification.from_pretrained(folder, dtype=torch.float32)


def write_reward_card(
    folder: Path, model: Qwen2ForSequenceClassification, seed: int, reports: Mapping[Pool, RewardReport]
) -> None:
    """The model card, `README.md`."""
    text = CARD.format(
        parameters=model.num_parameters(),
        seed=seed,
        near=NEAR,
        instructions=reports[Pool.ROUNDS].instructions,
        rounds=reports[Pool.ROUNDS],
        held_out=reports[Pool.HELD_OUT],
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
