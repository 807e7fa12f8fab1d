"""How the answers to a few fixed test prompts changed over the rounds."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from loop.report.standing import spaced
from loop.report.tables import Tables, listed
from loop.report.text import shown
from loop.view.text import number

PROMPTS = 6
ROUNDS_SHOWN = 8
LONGEST = 360
"""Characters of a prompt or an answer that are shown."""

CHOSEN = "select distinct prompt_id from evaluation_responses where round = {} order by prompt_id limit {}"
ANSWERS = """
select e.round, e.prompt_id, e.response_id, e.text, e.finish_reason from evaluation_responses e
where e.round in {} and e.k = 0 and list_contains(?, e.prompt_id) order by e.prompt_id, e.round
"""
SCORED = """
select round, response_ids[1] as response_id, status, value from evaluation_judgements
where round in {} and len(response_ids) = 1 and list_contains(?, response_ids[1])
"""
ASKED = "select prompt_id, messages, answer from prompts where list_contains(?, prompt_id)"


@dataclass(frozen=True, slots=True)
class AnswerOfRound:
    """`mark` is a sign with a word (right, wrong), or a score; `tone` is good, bad or nothing. `same`: as the round
    shown before."""

    round: int
    text: str
    mark: str
    tone: str
    same: bool
    rejected: bool


@dataclass(frozen=True, slots=True)
class Followed:
    """One test prompt with the first answer of each round shown."""

    prompt: str
    reference: str | None
    answers: tuple[AnswerOfRound, ...]


def read_followed(tables: Tables, rounds: Sequence[int], rejected: Collection[int]) -> list[Followed]:
    """The test prompts whose ids come first, so that nobody chose them, in up to eight of the rounds measured."""
    if not rounds:
        return []
    ids = [row["prompt_id"] for row in tables.rows(CHOSEN.format(rounds[0], PROMPTS))]
    if not ids:
        return []
    among = listed(spaced(list(rounds), ROUNDS_SHOWN))
    answers = tables.rows(ANSWERS.format(among), [ids])
    said = tables.rows(SCORED.format(among), [[row["response_id"] for row in answers]])
    return followed(tables.rows(ASKED, [ids]), answers, said, rejected)


def followed(
    prompts: Sequence[dict[str, Any]],
    answers: Sequence[dict[str, Any]],
    said: Sequence[dict[str, Any]],
    rejected: Collection[int],
) -> list[Followed]:
    """Rows of prompts, of answers in the order of rounds and of what was said of them, put together."""
    scores = {row["response_id"]: row for row in said}
    by_prompt: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in answers:
        by_prompt[row["prompt_id"]].append(row)
    return [
        Followed(
            shown(prompt_text(row["messages"]), LONGEST),
            None if row["answer"] is None else shown(row["answer"], LONGEST),
            tuple(_answers(by_prompt[row["prompt_id"]], scores, rejected)),
        )
        for row in sorted(prompts, key=lambda row: row["prompt_id"])
    ]


def prompt_text(messages: str) -> str:
    """A prompt's turns as text; who speaks is told where there are several."""
    turns = json.loads(messages)
    if len(turns) == 1:
        return str(turns[0]["content"])
    return "\n".join(f"[{turn['role']}] {turn['content']}" for turn in turns)


def _answers(
    rows: Sequence[dict[str, Any]], scores: dict[str, dict[str, Any]], rejected: Collection[int]
) -> list[AnswerOfRound]:
    before: str | None = None
    told = []
    for row in rows:
        mark, tone = _mark(scores.get(row["response_id"]))
        cut = " [cut at the token limit]" if row["finish_reason"] == "length" else ""
        text = shown(row["text"], LONGEST) + cut
        told.append(AnswerOfRound(row["round"], text, mark, tone, row["text"] == before, row["round"] in rejected))
        before = row["text"]
    return told


def _mark(score: dict[str, Any] | None) -> tuple[str, str]:
    if score is None or score["value"] is None:
        return ("not judged", "") if score is None else (score["status"], "")
    if score["value"] in (0.0, 1.0):
        return ("✓ right", "good") if score["value"] else ("✗ wrong", "bad")
    return number(score["value"]), ""
