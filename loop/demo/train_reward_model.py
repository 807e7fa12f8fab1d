"""Makes the demo's reward model from its policy: ``python -m loop.demo.train_reward_model --out DIR [--seed 0]``.

The loss is Bradley-Terry's: the right answer's score must lie above every wrong one's. Among the wrong ones are
answers, right and wrong, with arbitrary text after them, so that nothing can be appended that lifts an answer. The same
head also learns after every token of an answer whether it is right so far: one bit an answer teaches slowly.

Examples are drawn afresh for every step. One thread, and every draw from the seed.
"""

import argparse
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid
from transformers import Qwen2ForSequenceClassification, Qwen2Tokenizer, get_cosine_schedule_with_warmup

from loop.demo.batches import IGNORED
from loop.demo.rated import Rated, draw_rated
from loop.demo.reward_card import RewardReport, save_reward_model, score_reward_model, write_reward_card
from loop.demo.reward_model import (
    Exchange,
    ScoredBatch,
    last_scores,
    make_reward_model,
    make_reward_tokenizer,
    make_scored_batch,
    token_scores,
)
from loop.demo.task import Pool


@dataclass(frozen=True)
class RewardSchedule:
    """How long and how hard to train; counts are of a step unless said otherwise."""

    steps: int = 1000
    warmup_steps: int = 50
    instructions: int = 12
    near: int = 3
    muon_learning_rate: float = 0.004
    adamw_learning_rate: float = 2e-3
    weight_decay: float = 0.01
    largest_gradient_norm: float = 1.0
    score_every_steps: int = 100


def reward_loss(
    model: Qwen2ForSequenceClassification, tokenizer: Qwen2Tokenizer, rated: list[Rated], rng: random.Random
) -> torch.Tensor:
    """Bradley-Terry's loss of each right answer against its wrong ones plus the token loss; a scalar, in nats."""
    near = [Exchange(r.item.prompt, a, r.item.answer) for r in rated for a in (r.item.answer, *r.near)]
    appended = [Exchange(r.item.prompt, r.appended, r.item.answer, controls=rng.random() < 0.5) for r in rated]
    losses, lasts = [], []
    for exchanges in (near, appended):
        batch = make_scored_batch(tokenizer, exchanges)
        scores = token_scores(model, batch)
        losses.append(_token_loss(scores, batch))
        lasts.append(last_scores(scores, batch))
    right, wrong = lasts[0].view(len(rated), -1).split([1, len(rated[0].near)], dim=1)
    compared = torch.cat([right - wrong, right - lasts[1][:, None]], dim=1)
    return -logsigmoid(compared).mean() + losses[0] + losses[1]


def _token_loss(scores: torch.Tensor, batch: ScoredBatch) -> torch.Tensor:
    labelled = batch.right_so_far != IGNORED
    return binary_cross_entropy_with_logits(scores[labelled], batch.right_so_far[labelled].float())


def make_optimizers(model: Qwen2ForSequenceClassification, schedule: RewardSchedule) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the embedding, the vectors and the head."""
    inside = {
        name: p.ndim == 2 and "embed" not in name and name != "score.weight" for name, p in model.named_parameters()
    }
    matrices = [p for name, p in model.named_parameters() if inside[name]]
    others = [p for name, p in model.named_parameters() if not inside[name]]
    decay = schedule.weight_decay
    return [
        torch.optim.Muon(matrices, lr=schedule.muon_learning_rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=schedule.adamw_learning_rate, betas=(0.9, 0.98), weight_decay=decay),
    ]


def train(schedule: RewardSchedule, seed: int) -> tuple[Qwen2ForSequenceClassification, Qwen2Tokenizer]:
    """A reward model trained from the policy; prints its curve."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = make_reward_tokenizer()
    model = make_reward_model(tokenizer)
    optimizers = make_optimizers(model, schedule)
    rates = [get_cosine_schedule_with_warmup(each, schedule.warmup_steps, schedule.steps) for each in optimizers]
    started = time.process_time()
    for step in range(1, schedule.steps + 1):
        rated = [draw_rated(Pool.JUDGE, schedule.near, rng) for _ in range(schedule.instructions)]
        loss = reward_loss(model, tokenizer, rated, rng)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.largest_gradient_norm)
        for stepped in (*optimizers, *rates):
            stepped.step()
        model.zero_grad()
        if step % schedule.score_every_steps == 0:
            seconds = time.process_time() - started
            report = score_reward_model(model, tokenizer, Pool.HELD_OUT, instructions=128)
            print(f"step {step}/{schedule.steps}, {seconds:.0f} s, loss {loss.item():.3f}: {report}", flush=True)
    return model, tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the reward model")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.process_time()
    model, tokenizer = train(RewardSchedule(), arguments.seed)
    minutes = (time.process_time() - started) / 60
    stored = save_reward_model(arguments.out, model, tokenizer)
    reports: dict[Pool, RewardReport] = {
        pool: score_reward_model(stored, tokenizer, pool, instructions=1024) for pool in (Pool.ROUNDS, Pool.HELD_OUT)
    }
    write_reward_card(arguments.out, stored, arguments.seed, reports)
    for pool, report in reports.items():
        print(f"{pool.name}: {report}")
    print(f"{stored.num_parameters()} parameters, {minutes:.1f} minutes of processor time")


if __name__ == "__main__":
    main()
