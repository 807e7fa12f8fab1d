"""The policy's samples against those of the policy that it explores away from (XPO, SELM)."""

from __future__ import annotations

from itertools import product

from loop.pairing.candidates import by_id, finite, known_scores
from loop.pairing.found import Found, Options, Rule, is_pair
from loop.verdict import Group, Verdict


def explored(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Every sample of the policy with every response of purpose `explored`: whichever scores higher is chosen, of
    strength 1, and the margin is the gap. Equal scores give no pair.

    The explored response stands in the further role `explored` too, for the term that makes it less likely:
    `alpha` x log pi(explored) in XPO, `alpha` x its reward in SELM. Pairs in the order of response ids.
    """
    scores = known_scores(group, verdict)
    numbers = finite(scores)
    own, others = (
        by_id(group, [i for i in scores if group.responses_K[i].purpose == purpose])
        for purpose in ("train", "explored")
    )
    pairs = []
    for sample, other in product(own, others):
        i, j = (sample, other) if scores[sample] > scores[other] else (other, sample)
        if scores[i] > scores[j] and is_pair(group, i, j, truncated_may_win):
            margin = numbers[i] - numbers[j]
            pairs.append(Found(members=(i, j, other), roles=("chosen", "rejected", "explored"), margin=margin))
    return pairs


EXPLORED = Rule(
    name="explored",
    source="Xie et al. 2024 (XPO), arXiv:2405.21046; Zhang et al. 2024 (SELM), arXiv:2405.19332",
    of=explored,
    reads="scores",
    roles=("explored",),
)
