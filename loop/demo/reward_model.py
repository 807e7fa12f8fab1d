"""The demo's reward model as tokens and scores: how an exchange is encoded, and how well the model tells right from
wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Qwen2ForCausalLM, Qwen2ForSequenceClassification, Qwen2Tokenizer

from loop.demo.batches import IGNORED, prompt_text
from loop.demo.policy import TURN_END, make_tokenizer

POLICY = Path(__file__).resolve().parents[2] / "conf" / "demo" / "policy"
MAX_TOKENS = 512  # positions: an instruction with an answer of up to 450 bytes
END = f"{TURN_END}\n"
CHUNK = 64  # exchanges a forward pass


@dataclass(frozen=True)
class Exchange:
    """An instruction with an answer to be scored, and the right one. With `controls` the special tokens' names in the
    answer are read as these tokens, else as text."""

    prompt: str
    answer: str
    right: str
    controls: bool = False


@dataclass(frozen=True)
class ScoredBatch:
    """Right-padded tokens, int64 of shape (exchanges, tokens). `right_so_far` is 1 at the tokens of an answer and of
    the end of its turn as long as they are those of the right answer, then 0, and `IGNORED` elsewhere."""

    ids: torch.Tensor
    right_so_far: torch.Tensor


def make_reward_tokenizer() -> Qwen2Tokenizer:
    """The policy's tokenizer, for longer inputs."""
    tokenizer = make_tokenizer()
    tokenizer.model_max_length = MAX_TOKENS
    return tokenizer


def make_reward_model(tokenizer: Qwen2Tokenizer) -> Qwen2ForSequenceClassification:
    """The stored policy's trunk under a new head of one output, in float32; the caller seeds torch."""
    policy = Qwen2ForCausalLM.from_pretrained(POLICY, dtype=torch.float32)
    config = policy.config
    config.update({"num_labels": 1, "max_position_embeddings": MAX_TOKENS, "pad_token_id": tokenizer.pad_token_id})
    model = Qwen2ForSequenceClassification(config)
    model.model.load_state_dict(policy.model.state_dict())
    return model


def make_scored_batch(tokenizer: Qwen2Tokenizer, exchanges: Sequence[Exchange]) -> ScoredBatch:
    """The exchanges as the chat template writes them, without a prompt for another turn."""
    end = tokenizer(END)["input_ids"]
    prompts = [tokenizer(prompt_text(tokenizer, each.prompt))["input_ids"] for each in exchanges]
    answers = [
        [*tokenizer(each.answer, split_special_tokens=not each.controls)["input_ids"], *end] for each in exchanges
    ]
    width = max(len(prompt) + len(answer) for prompt, answer in zip(prompts, answers, strict=True))
    ids = torch.full((len(exchanges), width), tokenizer.pad_token_id)
    labels = torch.full((len(exchanges), width), IGNORED)
    for row, (each, prompt, answer) in enumerate(zip(exchanges, prompts, answers, strict=True)):
        ids[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        right = [*tokenizer(each.right)["input_ids"], *end]
        same = next((at for at, pair in enumerate(zip(answer, right, strict=False)) if pair[0] != pair[1]), len(right))
        so_far = [1] * min(same, len(answer)) + [0] * (len(answer) - same)
        labels[row, len(prompt) : len(prompt) + len(answer)] = torch.tensor(so_far)
    return ScoredBatch(ids, labels)


def token_scores(model: Qwen2ForSequenceClassification, batch: ScoredBatch) -> torch.Tensor:
    """The head's output after every token, float32 of shape (exchanges, tokens).

    Padding is on the right, so causal attention needs no mask.
    """
    return model.score(model.model(input_ids=batch.ids, use_cache=False).last_hidden_state).squeeze(-1)


def last_scores(scores: torch.Tensor, batch: ScoredBatch) -> torch.Tensor:
    """The scores after each exchange's last token: shape (exchanges,)."""
    width = batch.ids.shape[1]
    last = (torch.arange(width) * (batch.right_so_far != IGNORED)).argmax(-1)
    return scores[torch.arange(len(scores)), last]


@torch.inference_mode()
def score_exchanges(
    model: Qwen2ForSequenceClassification, tokenizer: Qwen2Tokenizer, exchanges: Sequence[Exchange]
) -> torch.Tensor:
    """One score per exchange, float32, in their order."""
    order = sorted(range(len(exchanges)), key=lambda at: len(exchanges[at].answer))
    scores = torch.empty(len(exchanges))
    for start in range(0, len(order), CHUNK):
        places = order[start : start + CHUNK]
        batch = make_scored_batch(tokenizer, [exchanges[at] for at in places])
        scores[places] = last_scores(token_scores(model, batch), batch)
    return scores
