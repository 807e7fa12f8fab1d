"""Questions about two policies' answers to the same prompts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from loop.records import Question, Response


def contest_questions(answers: Iterable[Response], others: Iterable[Response]) -> list[Question]:
    """Each answer against the other policy's answer with the same number, in both orders; an answer without a
    counterpart is not asked about."""
    theirs: dict[str, dict[int, Response]] = defaultdict(dict)
    for one in others:
        theirs[one.prompt_id][one.k] = one
    asked = []
    for one in answers:
        if (other := theirs[one.prompt_id].get(one.k)) is not None:
            pair = [one.response_id, other.response_id]
            asked += [Question(one.prompt_id, pair), Question(one.prompt_id, pair[::-1])]
    return asked
