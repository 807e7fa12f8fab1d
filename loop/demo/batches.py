"""Examples as padded token arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import Qwen2Tokenizer

from loop.demo.examples import Example
from loop.demo.policy import TURN_START

IGNORED = -100  # the label of a token that carries no loss
USER_HEADER = f"{TURN_START}user\n"


@dataclass(frozen=True)
class Batch:
    """Right-padded tokens: three int64 arrays of shape (examples, tokens), ``IGNORED`` where a label is absent.

    ``answers`` labels the assistant's tokens and the end of its turn with themselves; ``right`` labels the tokens of
    quoted answers, and the one that ends each, with the token that would stand there had the answer been right.
    """

    ids: torch.Tensor
    answers: torch.Tensor
    right: torch.Tensor


def prompt_text(tokenizer: Qwen2Tokenizer, user: str) -> str:
    """The chat up to where the assistant begins to speak."""
    chat = [{"role": "user", "content": user}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert isinstance(text, str)
    return text


def make_batch(tokenizer: Qwen2Tokenizer, examples: Sequence[Example]) -> Batch:
    """The examples as tokens: each is one byte, of ASCII text one character, or one special token."""
    prompts = tokenizer([prompt_text(tokenizer, example.user) for example in examples])["input_ids"]
    answers = tokenizer([example.assistant + tokenizer.eos_token for example in examples])["input_ids"]
    width = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True))
    batch = Batch(
        ids=torch.full((len(examples), width), tokenizer.pad_token_id),
        answers=torch.full((len(examples), width), IGNORED),
        right=torch.full((len(examples), width), IGNORED),
    )
    header = len(tokenizer(USER_HEADER)["input_ids"])
    for row, (example, prompt, answer) in enumerate(zip(examples, prompts, answers, strict=True)):
        start, end = len(prompt), len(prompt) + len(answer)
        batch.ids[row, :end] = torch.tensor(prompt + answer)
        batch.answers[row, start:end] = torch.tensor(answer)
        for quote in example.quotes:
            first, last = header + quote.start, header + quote.start + len(quote.answer)
            right = [*tokenizer(quote.right)["input_ids"], *[prompt[last]] * len(prompt)]
            batch.right[row, first : last + 1] = torch.tensor(right[: last + 1 - first])
    return batch


def make_prompt_batch(tokenizer: Qwen2Tokenizer, users: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Left-padded prompts that await the assistant: token ids and attention mask, int64 of shape (prompts, tokens)."""
    encoded = tokenizer(
        [prompt_text(tokenizer, user) for user in users], padding=True, padding_side="left", return_tensors="pt"
    )
    return encoded["input_ids"], encoded["attention_mask"]
