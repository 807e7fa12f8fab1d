"""Easy pairs before hard ones (Curry-DPO)."""

from __future__ import annotations

from loop.pairing.candidates import best, descending, distinct, finite, known_scores
from loop.pairing.found import COUNT, Found, Options, Rule, is_pair, pair_of
from loop.verdict import Group, Verdict


def curriculum(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """The best response against the worst (stage 0), the second worst (stage 1), and so on: at most `stages` pairs of
    strength 1, the gap falling from stage to stage.

    Of responses with the same tokens one takes part; one that scores as high as the best gives no pair. With
    `over: rounds` a round is one stage, stage 0 in round 1, and begins again behind the last one: so the anchor
    `previous` is the model of the stage before, as in the paper, which learns all stages from the same answers. With
    `over: round` every round goes through all of them, under one anchor.
    """
    scores = finite(known_scores(group, verdict))
    chosen = best(group, scores, truncated_may_win)
    if chosen is None:
        return []
    worst_first = descending(group, {i: -scores[i] for i in distinct(group, scores)})
    lower = [i for i in worst_first if scores[i] < scores[chosen] and is_pair(group, chosen, i, truncated_may_win)]
    stages, now = int(options["stages"]), group.responses_K[chosen].round - 1
    return [
        pair_of(chosen, i, 1.0, scores[chosen] - scores[i], stage=stage)
        for stage, i in enumerate(lower[:stages])
        if options["over"] == "round" or stage == now % stages
    ]


CURRICULUM = Rule(
    name="curriculum",
    source="Pattnaik et al. 2024 (Curry-DPO), arXiv:2403.07230",
    of=curriculum,
    reads="scores",
    options={"stages": 3, "over": "round"},
    choices={"over": ("round", "rounds")},
    bounds={"stages": COUNT},
)
