"""Two responses compared by their scores, for a judge that scores one at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence

from loop.judges.judge import Asked, Judge, Reply
from loop.judges.members import cut_of, failed, told
from loop.records import Question
from loop.verdicts import sigmoid


class Comparing:
    """Answers pointwise questions as the judge does, and pairwise ones from two of its scores: sigmoid(difference), as
    in a Bradley-Terry model. Where the judge is `certain` (right or wrong, a count of votes), the larger score is
    better with probability 1. Equal scores are undecided."""

    def __init__(self, judge: Judge, certain: bool) -> None:
        self.judge = judge
        self.certain = certain

    def version(self, policy: str) -> str:
        """The judge's own: its scores are what answers."""
        return self.judge.version(policy)

    def usage(self) -> dict[str, float]:
        """The judge's own."""
        return self.judge.usage()

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """A pair with a failed side is failed; one with a side that the judge gave no score for, or with two vetoed
        sides, is undecided."""
        replies = scores_of(self.judge, asked, policy)
        return [one[0] if len(one) == 1 else self._compared(*one) for one in replies]

    def _compared(self, first: Reply, second: Reply) -> Reply:
        raw, cut = json.dumps({"first": told(first), "second": told(second)}), cut_of((first, second))
        if failed(first) or failed(second):
            return Reply(raw, "failed", None, cut)
        p = 0.5 if first.value is None or second.value is None else beats(first.value, second.value, self.certain)
        return Reply(raw, "undecided" if p == 0.5 else "decided", p, cut)


def beats(score: float, other: float, certain: bool) -> float:
    """The probability that the one with the first score is better; it and that of the turned question add up to 1
    exactly, which is why the smaller one is a complement. Two vetoed ones are equal."""
    if score == other:
        return 0.5
    larger = 1.0 if certain else sigmoid(abs(score - other))
    return larger if score > other else 1.0 - larger


def scores_of(judge: Judge, asked: Sequence[Asked], policy: str) -> list[tuple[Reply, ...]]:
    """The judge's replies about each text that the questions show, asked as one batch: of pairwise questions each
    distinct text of a prompt once per sample, pointwise ones as they are."""
    alone: list[Asked] = []
    seen: dict[tuple[str, str, int], int] = {}
    places: list[list[int]] = []
    for one in asked:
        if one.question.kind == "pointwise":
            places.append([len(alone)])
            alone.append(one)
            continue
        places.append([])
        for side in range(len(one.texts)):
            key = one.question.prompt_id, one.texts[side], one.question.sample
            if key not in seen:
                seen[key] = len(alone)
                alone.append(_alone(one, side))
            places[-1].append(seen[key])
    replies = judge.answer(alone, policy)
    return [tuple(replies[i] for i in its) for its in places]


def _alone(asked: Asked, side: int) -> Asked:
    """The pointwise question about one side of a pair."""
    whole = asked.question
    question = Question(whole.prompt_id, [whole.response_ids[side]], whole.sample)
    return Asked(question, asked.conversation, (asked.texts[side],), asked.answer, asked.group_K)
