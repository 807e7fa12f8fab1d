"""Self-consistency: an answer is as good as many of the group's responses come to it (Wang et al. 2022,
arXiv:2203.11171; as preferences ScPO, arXiv:2411.04109)."""

from __future__ import annotations

import json
from collections.abc import Sequence

from loop.errors import Refused, nearest
from loop.judge_config import MajorityConfig
from loop.judges.final_answer import EXTRACT
from loop.judges.judge import Asked, Reply

NO_GROUP = "a majority is counted over the whole group, and this question shows no group"


class Majority:
    """Scores a response by the share of its group's responses with the same final answer, in [0, 1]. No final answer
    is no answer to agree on: it scores 0, below every real one, which has at least its own vote.

    `extract` names how the final answer is found: see `loop.judges.final_answer`.
    """

    def __init__(self, config: MajorityConfig) -> None:
        """Raises: Refused when nothing extracts by that name."""
        if config.extract not in EXTRACT:
            known = ", ".join(EXTRACT)
            raise Refused(
                f"judge.extract: there is no {config.extract!r}{nearest(config.extract, EXTRACT)}; there are {known}"
            )
        self.extract = config.extract

    def version(self, policy: str) -> str:
        """How answers are found; the same for every policy."""
        return f"majority-{self.extract}"

    def usage(self) -> dict[str, float]:
        """Counting costs nothing."""
        return {}

    def answer(self, asked: Sequence[Asked], policy: str) -> list[Reply]:
        """Pointwise questions; one that comes without its group is failed. The raw JSON tells answer and votes."""
        texts = {text for one in asked for text in (one.texts[0], *one.group_K)}
        answers = {text: EXTRACT[self.extract](text) for text in texts}
        return [_vote(one, answers) for one in asked]


def _vote(asked: Asked, answers: dict[str, str | None]) -> Reply:
    if not asked.group_K:
        return Reply(NO_GROUP, "failed", None)
    mine = answers[asked.texts[0]]
    votes = 0 if mine is None else sum(answers[text] == mine for text in asked.group_K)
    raw = json.dumps({"answer": mine, "votes": votes, "of": len(asked.group_K)})
    return Reply(raw, "decided", votes / len(asked.group_K))
