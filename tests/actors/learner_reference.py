"""Learners made anew inside running ranks, and a plain training loop that they must agree with."""

from __future__ import annotations

import sys
from typing import Any

import ray
import torch
from torch.nn.functional import softplus
from transformers import AutoModelForCausalLM

from actors.learner import LearnerActor
from actors.learner_contract import LearnerSettings
from actors.learner_group import LearnerGroup
from loop.batches import plan, sequence_of, sizes_of
from loop.config import OptimizerState
from loop.learning import LearnReport
from loop.records import Response
from tests.actors.learner_kit import Call, Data, Weights, gathered, inside, largest_difference, lesson, timeless

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


def fresh(group: LearnerGroup, wanted: LearnerSettings, calls: list[Call]) -> tuple[list[LearnReport], Weights]:
    """A new learner with other settings inside the group's processes: its reports, and its weights afterwards."""

    lessons = [lesson(call, at) for at, call in enumerate(calls, 1)]

    def work(host: LearnerActor) -> tuple[list[LearnReport], Weights]:
        learner = LearnerActor(host.rank, host.world, wanted)
        learner.start(("", 0))
        reports = [learner.learn(one, len(lessons), 3) for one in lessons]
        return reports, gathered(learner)

    answers = inside(group, work)
    for reports, weights in answers[1:]:
        assert [*map(timeless, reports)] == [*map(timeless, answers[0][0])]
        assert largest_difference(weights, answers[0][1]) == 0
    return answers[0]


def logprobs(model: Any, row: Response) -> torch.Tensor:
    """Log-probs of a response's tokens from the model's own logits, without padding."""
    ids = torch.tensor([*row.prompt_tokens_T, *row.tokens_T])
    all_T = torch.log_softmax(model(ids[None]).logits[0, :-1].float(), -1).gather(-1, ids[1:, None]).squeeze(-1)
    return all_T[len(row.prompt_tokens_T) - 1 :]


def plain_training(path: str, data: Data, wanted: LearnerSettings, rounds: int = 1) -> tuple[Weights, float]:
    """The same rounds without DeepSpeed: one example after the other, mean over the step, torch's AdamW.

    Returns the weights and the mean norm of the gradient before clipping.
    """
    model, config = AutoModelForCausalLM.from_pretrained(path), wanted.learner
    loss, norms = wanted.algorithm.loss, []
    sizes = sizes_of(data.examples, {name: sequence_of(row) for name, row in data.responses.items()})
    for round in range(rounds):
        if round == 0 or wanted.algorithm.optimizer is OptimizerState.reset:
            optimizer = torch.optim.AdamW(
                model.parameters(), lr=config.lr, eps=config.eps, weight_decay=config.weight_decay
            )
        for step in plan(sizes, 1, config.batch_examples, config.micro_batch_tokens, 1, seed=3):
            optimizer.zero_grad()
            for example in (data.examples[index] for index in step.examples):
                ratios: list[torch.Tensor] = []
                nll: float | torch.Tensor = 0.0
                for side in (data.responses[one] for one in example.response_ids):
                    mask = torch.tensor(side.loss_mask_T)
                    policy = logprobs(model, side)[mask]
                    ratios.append(policy.sum() - torch.tensor(side.logprobs_T)[mask].sum())
                    nll = nll or -policy.mean()
                z = loss["beta"] * (ratios[0] - ratios[1])
                value = example.strength * softplus(-z) + (1 - example.strength) * softplus(z) + loss["nll"] * nll
                (example.weight * value / len(step.examples)).backward()
            norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)))
            optimizer.step()
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}, sum(norms) / len(norms)
