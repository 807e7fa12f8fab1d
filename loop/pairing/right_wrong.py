"""Right and wrong answers: pairs between them (iterative RPO), the right ones alone (ReST-EM, RAFT), or all of them
with a label (KTO)."""

from __future__ import annotations

from collections import Counter
from statistics import median

from loop.pairing.candidates import by_id, descending, distinct, drawn, finite, known_scores, reaches
from loop.pairing.found import COUNT, Found, Options, Rule, is_pair, may_win, pair_of, single_of
from loop.verdict import Group, Verdict


def random_right_wrong(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """`count` pairs of a right and a wrong response, each drawn by chance with replacement; right is a score of at
    least `min_score`. A pair stands once however often it is drawn, and its weight is in proportion: the weights of a
    group average 1, so that the loss does not grow with `count`. None when either kind is missing."""
    scores = known_scores(group, verdict)
    right = [i for i in scores if scores[i] >= float(options["min_score"]) and may_win(group, i, truncated_may_win)]
    wrong = [i for i in scores if scores[i] < float(options["min_score"])]
    if not right or not wrong:
        return []
    draws = Counter(
        (drawn(group, right, "right", n), drawn(group, wrong, "wrong", n)) for n in range(int(options["count"]))
    )
    numbers = finite(scores)
    pairs = {ij: times for ij, times in draws.items() if is_pair(group, *ij, truncated_may_win)}
    return [
        pair_of(i, j, 1.0, numbers[i] - numbers[j], weight=times * len(pairs) / sum(pairs.values()))
        for (i, j), times in pairs.items()
    ]


def keep_correct(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """At most `cap` responses that score at least `min_score`, best first, each alone with label 1; of responses with
    the same tokens one. RAFT's best of K is `cap` 1 without a `min_score` (-inf), at which a vetoed
    response is still not kept."""
    scores = known_scores(group, verdict)
    right = {
        i: scores[i]
        for i in distinct(group, scores)
        if reaches(scores[i], float(options["min_score"])) and may_win(group, i, truncated_may_win)
    }
    return [single_of(i, 1.0) for i in descending(group, right)[: int(options["cap"])]]


def labelled(group: Group, verdict: Verdict, options: Options, truncated_may_win: bool) -> list[Found]:
    """Every scored response alone: label 1 (desirable) or 0; of responses with the same tokens one.

    `split: threshold` calls a score of at least `threshold` desirable; `median` one above the group's median, and one
    below it undesirable, while the median itself says nothing. A truncated response is not given as desirable unless
    it may win.
    """
    scores = known_scores(group, verdict)
    if not scores:
        return []
    by_median = options["split"] == "median"
    numbers = finite(scores)
    middle = median(numbers.values()) if by_median else float(options["threshold"])
    labels = {
        i: float(numbers[i] > middle if by_median else reaches(scores[i], middle))
        for i in distinct(group, scores)
        if not (by_median and numbers[i] == middle)
    }
    return [
        single_of(i, label)
        for i, label in ((i, labels[i]) for i in by_id(group, labels))
        if not label or may_win(group, i, truncated_may_win)
    ]


RANDOM_RIGHT_WRONG = Rule(
    name="random_right_wrong",
    source="Pang et al. 2024 (iterative RPO), arXiv:2404.19733",
    of=random_right_wrong,
    reads="scores",
    options={"count": 10, "min_score": 1.0},
    bounds={"count": COUNT},
)
KEEP_CORRECT = Rule(
    name="keep_correct",
    source="Singh et al. 2023 (ReST-EM), arXiv:2312.06585; Dong et al. 2023 (RAFT), arXiv:2304.06767",
    of=keep_correct,
    reads="scores",
    gives="single",
    labels="kept",
    options={"min_score": 1.0, "cap": 10},
    bounds={"cap": COUNT},
)
LABELLED = Rule(
    name="labelled",
    source="Ethayarajh et al. 2024 (KTO), arXiv:2402.01306",
    of=labelled,
    reads="scores",
    gives="single",
    labels="desirable",
    options={"split": "threshold", "threshold": 0.5},
    choices={"split": ("threshold", "median")},
)
