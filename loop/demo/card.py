"""The policy's folder: weights, tokenizer, generation config and the model card."""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Qwen2ForCausalLM, Qwen2Tokenizer

from loop.demo.evaluate import JudgeScore

WEIGHTS = "model.safetensors"

CARD = """\
---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
---

# Demo policy

A Qwen2 of {parameters:,} parameters (float32) over bytes, with ChatML turns. It follows one-line instructions on
five-letter words (`Next: qkzbf`) and judges two answers by a verdict token, `A` or `B`.

Made from nothing by `python -m loop.demo.train_policy --out DIR --seed {seed}`. Its demonstrations are of mixed quality
on purpose: a fixed fraction holds one slip, and the policy is calibrated to it. On {prompts:,} held-out prompts, with
{samples} samples each at temperature 1:

- gold score (exact match): {gold:.3f}
- prompts with both right and wrong samples: {mixed:.3f}
- verdicts that name the right one of a right and a wrong answer: {accuracy:.3f}
- pairs whose verdict follows the order of the answers: {flips:.3f}

Licence: Apache-2.0. No outside data or weights went into it.
"""


@dataclass(frozen=True)
class Report:
    """Scores on ``prompts`` held-out prompts with ``samples`` answers each at temperature 1; fractions of 1."""

    prompts: int
    samples: int
    gold: float
    mixed: float
    judge: JudgeScore

    def __str__(self) -> str:
        return (
            f"gold score {self.gold:.3f} ({self.prompts} prompts, {self.samples} samples each), "
            f"mixed {self.mixed:.3f}, judge accuracy {self.judge.accuracy:.3f}, "
            f"order flips {self.judge.order_flips:.3f}"
        )


def save_policy(folder: Path, model: Qwen2ForCausalLM, tokenizer: Qwen2Tokenizer) -> Qwen2ForCausalLM:
    """Stores the policy and returns it as read back from the folder, in float32."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Qwen2ForCausalLM.from_pretrained(folder, dtype=torch.float32)


def write_card(folder: Path, model: Qwen2ForCausalLM, seed: int, report: Report) -> None:
    """The model card, ``README.md``."""
    text = CARD.format(
        parameters=model.num_parameters(),
        seed=seed,
        prompts=report.prompts,
        samples=report.samples,
        gold=report.gold,
        mixed=report.mixed,
        accuracy=report.judge.accuracy,
        flips=report.judge.order_flips,
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
