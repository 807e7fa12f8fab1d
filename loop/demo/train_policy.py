"""Makes the demo's policy from nothing: ``python -m loop.demo.train_policy --out DIR [--seed 0]``.

The demonstrations are of mixed quality on purpose, as human ones are: a fixed fraction of the demonstrated answers
holds one slip (see ``examples.SLIP_FRACTION``). Training runs to the end of its own schedule, and the policy that comes
out is calibrated to its demonstrators: it answers right about as often as they did, although it has the capacity to do
better. That gap is what preference learning can close. The verdicts it learns from are clean: it can tell the right
answer of two from the wrong one.

Verdicts alone, one bit each, teach slowly. So two auxiliary heads, thrown away afterwards, read from inside the network
what each letter of a quoted answer should have been, and whether it is that.

Examples are drawn afresh for every step. One thread, and every draw from the seed.
"""

import argparse
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import Qwen2ForCausalLM, Qwen2Tokenizer, get_cosine_schedule_with_warmup

from loop.demo.batches import IGNORED, Batch, make_batch
from loop.demo.card import WEIGHTS, Report, save_policy, write_card
from loop.demo.evaluate import gold_score, judge_score, mixed_fraction, sample_answers, sampled_pairs
from loop.demo.examples import Example, draw_demonstration, draw_verdicts
from loop.demo.policy import HIDDEN, VOCABULARY, make_model, make_tokenizer
from loop.demo.task import Pool, make_items
from loop.judges.template import load_template

JUDGE_TEMPLATE = Path(__file__).resolve().parents[2] / "conf" / "demo" / "judge_pairwise.yaml"
SCORE_SEED = 1  # of the held-out prompts that the trainer scores itself on
VERDICT_WEIGHT = 2.0  # half of the verdicts' tokens end a turn: soon learned, they weigh nothing


@dataclass(frozen=True)
class Schedule:
    """How long and how hard to train; counts are of examples a step unless said otherwise."""

    steps: int = 1500
    warmup_steps: int = 60
    demonstrations: int = 16
    verdict_pairs: int = 16
    muon_learning_rate: float = 0.006
    adamw_learning_rate: float = 4e-3
    weight_decay: float = 0.01
    largest_gradient_norm: float = 1.0
    score_every_steps: int = 100


def draw_examples(template: str, schedule: Schedule, seed: int) -> Iterator[tuple[list[Example], list[Example]]]:
    """The demonstrations and the verdicts of one step after the other, without end."""
    rng = random.Random(seed)
    while True:
        demonstrations = [draw_demonstration(rng) for _ in range(schedule.demonstrations)]
        verdicts: list[Example] = []
        for _ in range(schedule.verdict_pairs):
            verdicts += draw_verdicts(template, rng)
        yield demonstrations, verdicts


def draw_batches(
    tokenizer: Qwen2Tokenizer, template: str, schedule: Schedule, seed: int
) -> Iterator[tuple[Batch, Batch]]:
    """One batch of demonstrations and one of verdicts a step, without end."""
    for demonstrations, verdicts in draw_examples(template, schedule, seed):
        yield make_batch(tokenizer, demonstrations), make_batch(tokenizer, verdicts)


class Probes(torch.nn.Module):
    """The auxiliary heads: the right token from the second layer, and whether the token is right from the third."""

    def __init__(self) -> None:
        super().__init__()
        self.right = torch.nn.Sequential(torch.nn.LayerNorm(HIDDEN), torch.nn.Linear(HIDDEN, VOCABULARY))
        self.matches = torch.nn.Sequential(torch.nn.LayerNorm(HIDDEN), torch.nn.Linear(HIDDEN, 1))

    def loss(self, hidden: Sequence[torch.Tensor], batch: Batch) -> torch.Tensor:
        """Sum of the heads' mean cross-entropies, in nats (0 without quotes); ``hidden[n]`` is layer n's output."""
        quoted = batch.right != IGNORED
        if not quoted.any():
            return hidden[0].new_zeros(())
        right = batch.right[quoted]
        matches = self.matches(hidden[3][quoted]).squeeze(-1)
        return cross_entropy(self.right(hidden[2][quoted]), right) + binary_cross_entropy_with_logits(
            matches, (batch.ids[quoted] == right).float()
        )


def batch_losses(model: Qwen2ForCausalLM, probes: Probes, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy of the assistant's tokens and the auxiliary loss: two scalars, in nats.

    Padding is on the right, so causal attention needs no mask.
    """
    out = model.model(input_ids=batch.ids, use_cache=False, output_hidden_states=True)
    labelled = batch.answers[:, 1:] != IGNORED
    logits = model.lm_head(out.last_hidden_state[:, :-1][labelled])
    return cross_entropy(logits, batch.answers[:, 1:][labelled]), probes.loss(out.hidden_states, batch)


def make_optimizers(model: Qwen2ForCausalLM, probes: Probes, schedule: Schedule) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the embedding, the vectors and the probes."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    decay = schedule.weight_decay
    return [
        torch.optim.Muon(matrices, lr=schedule.muon_learning_rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(
            [*others, *probes.parameters()], lr=schedule.adamw_learning_rate, betas=(0.9, 0.98), weight_decay=decay
        ),
    ]


def score(model: Qwen2ForCausalLM, tokenizer: Qwen2Tokenizer, template: str, prompts: int, samples: int) -> Report:
    """The policy's scores on held-out prompts, its judging on its own wrong answers to them."""
    torch.manual_seed(SCORE_SEED)
    items = make_items(Pool.HELD_OUT, prompts, SCORE_SEED)
    model.eval()
    answers = sample_answers(model, tokenizer, [item.prompt for item in items], samples)
    judged = judge_score(model, tokenizer, template, sampled_pairs(items, answers))
    model.train()
    return Report(prompts, samples, gold_score(items, answers), mixed_fraction(items, answers), judged)


def train(schedule: Schedule, seed: int) -> tuple[Qwen2ForCausalLM, Qwen2Tokenizer]:
    """A policy trained from scratch; prints its curve."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    template = load_template(str(JUDGE_TEMPLATE)).text
    probes = Probes()
    optimizers = make_optimizers(model, probes, schedule)
    rates = [get_cosine_schedule_with_warmup(each, schedule.warmup_steps, schedule.steps) for each in optimizers]
    started = time.process_time()
    batches = islice(draw_batches(tokenizer, template, schedule, seed), schedule.steps)
    for step, (demonstrations, verdicts) in enumerate(batches, start=1):
        answered, _ = batch_losses(model, probes, demonstrations)
        judged, probed = batch_losses(model, probes, verdicts)
        (answered + VERDICT_WEIGHT * judged + probed).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.largest_gradient_norm)
        for stepped in (*optimizers, *rates):
            stepped.step()
        model.zero_grad()
        probes.zero_grad()
        if step % schedule.score_every_steps == 0:
            report = score(model, tokenizer, template, prompts=256, samples=1)
            losses = f"loss of answers {answered.item():.3f}, verdicts {judged.item():.3f}, probes {probed.item():.3f}"
            seconds = time.process_time() - started
            print(f"step {step}/{schedule.steps}, {seconds:.0f} s, {losses}: {report}", flush=True)
    return model, tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the policy")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    started = time.process_time()
    model, tokenizer = train(Schedule(), arguments.seed)
    minutes = (time.process_time() - started) / 60
    stored = save_policy(arguments.out, model, tokenizer)
    report = score(stored, tokenizer, load_template(str(JUDGE_TEMPLATE)).text, prompts=1024, samples=8)
    write_card(arguments.out, stored, arguments.seed, report)
    size = (arguments.out / WEIGHTS).stat().st_size
    print(f"{report}; {stored.num_parameters()} parameters, {size} bytes, {minutes:.1f} minutes of processor time")


if __name__ == "__main__":
    main()
