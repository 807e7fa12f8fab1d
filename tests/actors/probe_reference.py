"""A probe's figures from a plain forward pass of the model, one response after the other, and autograd."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from loop.anchors import Resolved
from loop.diagnostics.probe import third_of
from loop.fleets import Lesson
from loop.records import Example, Response, ShardRef
from loop.shards import write_shard
from tests.actors.learner_kit import Data

POLICY = "r0-s0"


def probed_round(data: Data, root: str) -> tuple[Lesson, list[ShardRef], dict[str, Response]]:
    """The kit's round as one that the initial policy sampled: its lesson, answers to held-out prompts, and all rows."""
    rows = [dataclasses.replace(row, policy=POLICY, text=name) for name, row in data.responses.items() if name != "bad"]
    answers = [dataclasses.replace(row, response_id=f"a-{row.response_id}", purpose="evaluate") for row in rows[:5]]
    examples = [write_shard(root, "examples", 1, 0, data.examples, Example)]
    responses = [write_shard(root, "responses", 1, 0, rows, Response)]
    evaluated = [write_shard(root, "evaluation_responses", 1, 0, answers, Response)]
    lesson = Lesson(1, examples, responses, serving=(Resolved((POLICY,), (1.0,)),))
    return lesson, evaluated, {row.response_id: row for row in (*rows, *answers)}


def figures(path: str, data: Data, rows: Mapping[str, Response]) -> dict[str, float]:
    """What a probe of all examples and answers comes to."""
    model = AutoModelForCausalLM.from_pretrained(path)
    head = model.lm_head.weight.detach().clone().requires_grad_()
    read = {name: _read(model, head, row) for name, row in rows.items()}
    texts = {name: row.text for name, row in rows.items() if row.purpose == "train"}
    pairs = [tuple(example.response_ids) for example in data.examples]
    thirds = [third_of(texts, *pair) for pair in pairs]

    def change(names: list[Any]) -> float:
        moved = [read[one][0].detach() - torch.tensor(_stored(rows[one])) for one in names]
        return float(torch.cat(moved).mean())

    def entries(side: int) -> Tensor:
        total = sum((read[pair[side]][0].sum() for pair in pairs), torch.zeros(()))
        (gradient,) = torch.autograd.grad(total, head, retain_graph=True)
        return gradient.double()

    chosen, rejected = entries(0), entries(1)
    own = [read[name] for name, row in rows.items() if row.purpose == "evaluate"]
    kept = [torch.tensor(_stored(row)) for row in rows.values() if row.purpose == "evaluate"]
    sums = {name: float(one[0].detach().sum()) - sum(_stored(rows[name])) for name, one in read.items()}
    return {
        "chosen_change": change([pair[0] for pair in pairs]),
        "rejected_change": change([pair[1] for pair in pairs]),
        "third_change": change(thirds),
        "margin": sum(sums[w] - sums[rest] for w, rest in pairs) / len(pairs),
        "ranking_accuracy": sum(bool(read[w][0].sum() >= read[x][0].sum()) for w, x in pairs) / len(pairs),
        "ranking_accuracy_mean": sum(bool(read[w][0].mean() >= read[x][0].mean()) for w, x in pairs) / len(pairs),
        "implicit_accuracy": sum(sums[w] > sums[x] for w, x in pairs) / len(pairs),
        "top_entropy": float(torch.cat([one[1] for one in own]).mean()),
        "top_mass": float(torch.cat([one[2] for one in own]).mean()),
        "sampler_gap": float((torch.cat([one[0] for one in own]) - torch.cat(kept)).abs().mean()),
        "entanglement": float((chosen * rejected).sum() / min((chosen**2).sum(), (rejected**2).sum())),
        "gradient_cosine": float((chosen * rejected).sum() / (chosen.norm() * rejected.norm())),
    }


def _stored(row: Response) -> list[float]:
    return [value for value, learnt in zip(row.logprobs_T, row.loss_mask_T, strict=True) if learnt]


def _read(model: Any, head: Tensor, row: Response) -> tuple[Tensor, Tensor, Tensor]:
    """Of the learnt tokens log-probs, with a graph to the head alone, and the top ten's entropy and mass."""
    ids = torch.tensor([*row.prompt_tokens_T, *row.tokens_T])
    hidden = model.model(ids[None]).last_hidden_state[0, len(row.prompt_tokens_T) - 1 : -1].detach()
    probabilities = (hidden @ head.T).softmax(-1)[torch.tensor(row.loss_mask_T)]
    learnt = torch.tensor(row.tokens_T)[torch.tensor(row.loss_mask_T)]
    top = probabilities.detach().sort(-1, descending=True).values[:, :10]
    shares = top / top.sum(-1, keepdim=True)
    return probabilities.gather(-1, learnt[:, None])[:, 0].log(), -(shares * shares.log()).sum(-1), top.sum(-1)
