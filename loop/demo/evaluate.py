"""Scores of the demo policy: gold score of sampled answers, and how well it judges pairs of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import Qwen2ForCausalLM, Qwen2Tokenizer

from loop.demo.batches import make_prompt_batch
from loop.demo.examples import VERDICTS, judge_prompt
from loop.demo.task import Item, is_right

ANSWER_TOKENS = 16  # at most, the end of the turn included
CHUNK = 256  # prompts a forward pass


@dataclass(frozen=True)
class Pair:
    """An instruction with one right and one wrong answer."""

    prompt: str
    right: str
    wrong: str


@dataclass(frozen=True)
class JudgeScore:
    """Fractions of 1: verdicts (both orders counted) that are right, and pairs whose verdict follows the order."""

    accuracy: float
    order_flips: float


@torch.inference_mode()
def sample_answers(
    model: Qwen2ForCausalLM, tokenizer: Qwen2Tokenizer, prompts: Sequence[str], samples: int
) -> list[list[str]]:
    """``samples`` answers to each prompt at temperature 1, drawn from torch's global generator."""
    answers: list[str] = []
    repeated = [prompt for prompt in prompts for _ in range(samples)]
    for start in range(0, len(repeated), CHUNK):
        ids, mask = make_prompt_batch(tokenizer, repeated[start : start + CHUNK])
        tokens = model.generate(
            input_ids=ids, attention_mask=mask, do_sample=True, temperature=1.0, top_k=0, max_new_tokens=ANSWER_TOKENS
        )
        answers += tokenizer.batch_decode(tokens[:, ids.shape[1] :], skip_special_tokens=True)
    return [answers[start : start + samples] for start in range(0, len(answers), samples)]


def gold_score(items: Sequence[Item], answers: Sequence[Sequence[str]]) -> float:
    """The fraction of all answers that are right."""
    marks = [is_right(item.prompt, answer) for item, row in zip(items, answers, strict=True) for answer in row]
    return sum(marks) / len(marks)


def mixed_fraction(items: Sequence[Item], answers: Sequence[Sequence[str]]) -> float:
    """The fraction of prompts with at least one right and one wrong answer among their samples."""
    counts = [sum(is_right(item.prompt, answer) for answer in row) for item, row in zip(items, answers, strict=True)]
    return sum(0 < count < len(row) for count, row in zip(counts, answers, strict=True)) / len(counts)


def sampled_pairs(items: Sequence[Item], answers: Sequence[Sequence[str]]) -> list[Pair]:
    """For each prompt that has a wrong answer among its samples: the right answer against the first wrong one."""
    pairs = []
    for item, row in zip(items, answers, strict=True):
        wrong = [answer for answer in row if answer != item.answer]
        pairs += [Pair(item.prompt, item.answer, answer) for answer in wrong[:1]]
    return pairs


@torch.inference_mode()
def probability_of_a(model: Qwen2ForCausalLM, tokenizer: Qwen2Tokenizer, judge_prompts: Sequence[str]) -> torch.Tensor:
    """P(A) against P(B) as the assistant's first token: float32 of shape (prompts,)."""
    verdict_ids = [tokenizer.convert_tokens_to_ids(verdict) for verdict in VERDICTS]
    chunks = []
    for start in range(0, len(judge_prompts), CHUNK):
        ids, mask = make_prompt_batch(tokenizer, judge_prompts[start : start + CHUNK])
        logits = model(input_ids=ids, attention_mask=mask, logits_to_keep=1).logits[:, -1]
        chunks.append(logits[:, verdict_ids].softmax(-1)[:, 0])
    return torch.cat(chunks)


def judge_score(model: Qwen2ForCausalLM, tokenizer: Qwen2Tokenizer, template: str, pairs: Sequence[Pair]) -> JudgeScore:
    """How the policy judges the pairs, each shown in both orders."""
    right_first = [judge_prompt(template, pair.prompt, pair.right, pair.wrong) for pair in pairs]
    wrong_first = [judge_prompt(template, pair.prompt, pair.wrong, pair.right) for pair in pairs]
    says_a = probability_of_a(model, tokenizer, right_first) > 0.5
    says_b = probability_of_a(model, tokenizer, wrong_first) < 0.5
    accuracy = torch.cat([says_a, says_b]).float().mean().item()
    return JudgeScore(accuracy, (says_a != says_b).float().mean().item())
