"""Pairs of a judge's own judgements, from which it learns to judge (Meta-Rewarding, arXiv:2407.19594). Pure functions.

Of a prompt's answers the one is taken whose repeated judgements disagree most. Its judgements compete: the same policy,
as meta-judge, compares every two of them in both orders. The best one by Elo is chosen over the worst.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from statistics import pvariance

from loop.config import JudgePairsConfig
from loop.elo import battle_matrix, elo
from loop.judges.text_judge import writing_seed
from loop.pairing import example_of
from loop.pairing.candidates import best, worst
from loop.pairing.found import pair_of
from loop.records import Example, Judgement, Question, Response
from loop.verdict import Group

EVEN = 1e-6
"""Difference of Elo scores up to which two judgements are equally good: no more than rounding."""


def disputed(judgements: Iterable[Judgement]) -> list[Judgement]:
    """The judgements, by their repeat, of the question about a prompt's answers on which repeats disagree most: the
    largest variance of their values, among equals the smallest ids of answers.

    Failed ones do not count, nor do those of which no tokens are known; of judgements in the same words the first one
    stands for all. Empty where no two disagree.
    """
    asked: dict[tuple[str, ...], list[Judgement]] = defaultdict(list)
    for one in sorted(judgements, key=lambda one: (one.response_ids, one.sample)):
        if one.status != "failed" and one.value is not None and one.tokens_T:
            asked[tuple(one.response_ids)].append(one)
    spread = {shown: pvariance([one.value or 0.0 for one in some]) for shown, some in asked.items()}
    if not spread or not (widest := max(spread.values())):
        return []
    taken = next(some for shown, some in asked.items() if spread[shown] == widest)
    return list({tuple(one.tokens_T): one for one in reversed(taken)}.values())[::-1]


def as_response(judgement: Judgement, judged: Response, policy: str, sampling: str) -> Response:
    """A judgement as what the policy answered to the judge's question. Its log-probs are for the learner to compute."""
    return Response(
        response_id=judgement.judgement_id,
        round=judgement.round,
        purpose="judgement",
        policy=policy,
        prompt_id=judgement.prompt_id,
        k=judgement.sample,
        prompt_tokens_T=judgement.asked_T,
        tokens_T=judgement.tokens_T,
        logprobs_T=[],
        loss_mask_T=[True] * len(judgement.tokens_T),
        text=judgement.raw,
        finish_reason="end",
        seed=writing_seed(judgement.asked_T, judgement.sample),
        sampling=sampling,
        tokenizer=judged.tokenizer,
        parent=judged.response_id,
    )


def competing(
    judgements: Iterable[Judgement], answers: Mapping[str, Response], policy: str, sampling: str
) -> list[Response]:
    """The judgements that compete, prompt by prompt, as responses whose parent is the answer (of two that were
    compared the first one shown)."""
    by_prompt: dict[str, list[Judgement]] = defaultdict(list)
    for one in judgements:
        by_prompt[one.prompt_id].append(one)
    return [
        as_response(one, answers[one.response_ids[0]], policy, sampling)
        for some in by_prompt.values()
        for one in disputed(some)
    ]


def battles(group: Group) -> list[Question]:
    """What the meta-judge is asked about a group of judgements: every two of them, in both orders."""
    ids = [one.response_id for one in group.responses_K]
    return [Question(group.prompt_id, [first, second]) for first, second in permutations(ids, 2)]


def judge_pairs(config: JudgePairsConfig, group: Group, said: Sequence[Judgement], round: int) -> list[Example]:
    """At most one pair of a group of judgements, of strength 1, with the difference of their Elo scores (natural-log
    units) as margin: the best against the worst, among equals the smallest id. None where they are even, or where the
    best one is longer than `config.max_tokens`: a meta-judge likes length."""
    at = {one.response_id: place for place, one in enumerate(group.responses_K)}
    told = [
        (at[first], at[second], one.value if one.status != "failed" else None)
        for one in said
        for first, second in [one.response_ids]
    ]
    scores = dict(enumerate(elo(battle_matrix(told, len(at)))))
    chosen, rejected = best(group, scores, truncated_may_win=False), worst(group, scores)
    assert chosen is not None, "a cut judgement has failed"
    margin = scores[chosen] - scores[rejected]
    if margin <= EVEN or len(group.responses_K[chosen].tokens_T) > config.max_tokens:
        return []
    return [example_of(group, round, pair_of(chosen, rejected, 1.0, margin))]
