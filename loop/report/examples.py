"""The examples of a round that a person should look at, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loop.report.answers import prompt_text
from loop.report.tables import Tables
from loop.report.text import shown
from loop.view.text import number

EACH = 3
"""Examples of a kind."""

LONGEST = 1200
"""Characters of a prompt or an answer that are shown."""

RAW = 300
JUDGEMENTS = 4
ANSWERS = 4

EXAMPLE = """
select prompt_id, response_ids, roles, strength, margin from examples where round = {0}
qualify row_number() over (partition by prompt_id order by {1}) = 1 order by {1} limit {2}
"""
FLIPS = """
with said as (
    select prompt_id, response_ids, avg(value) as value from judgements
    where round = {0} and len(response_ids) = 2 and status != 'failed' and value is not null group by all
)
select a.prompt_id, a.response_ids, a.value as first, b.value as second from said a join said b
on a.prompt_id = b.prompt_id and a.response_ids[1] = b.response_ids[2] and a.response_ids[2] = b.response_ids[1]
where a.response_ids[1] < a.response_ids[2]
  and ((a.value > 0.5 and b.value > 0.5) or (a.value < 0.5 and b.value < 0.5))
qualify row_number() over (partition by a.prompt_id order by least(abs(a.value - 0.5), abs(b.value - 0.5)) desc) = 1
order by least(abs(a.value - 0.5), abs(b.value - 0.5)) desc, a.response_ids limit {1}
"""
FAILED = """
select prompt_id, response_ids from judgements where round = {} and status = 'failed' order by judgement_id limit {}
"""
CUT = """
select prompt_id, [response_id] as response_ids from responses
where round = {} and finish_reason = 'length' order by response_id limit {}
"""
LONG = """
select prompt_id, [response_id] as response_ids from responses
where round = {} and purpose = 'train'
qualify row_number() over (partition by prompt_id order by len(tokens_T) desc, response_id) = 1
order by len(tokens_T) desc, response_id limit {}
"""


@dataclass(frozen=True, slots=True)
class Picked:
    """What an example is shown for, before its texts are read."""

    kind: str
    facts: str
    prompt_id: str
    response_ids: tuple[str, ...]
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerTold:
    """One answer."""

    role: str
    text: str
    facts: str


@dataclass(frozen=True, slots=True)
class JudgementTold:
    """A judge's reply: what it was shown, what came out, its own words."""

    shown: str
    outcome: str
    raw: str


@dataclass(frozen=True, slots=True)
class ExampleTold:
    """An example with its texts."""

    facts: str
    prompt: str
    answers: tuple[AnswerTold, ...]
    judgements: tuple[JudgementTold, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """Examples that are shown for the same reason, and what there is to see in them."""

    title: str
    why: str
    examples: tuple[ExampleTold, ...]


KINDS = {
    "margin": ("Largest margin", "The judge saw the widest gap here. Is it a real one, or a trick that it falls for?"),
    "unsure": ("Most uncertain", "Hardly better than a tie: what these teach may be noise."),
    "flips": ("Changed with the order", "The answer shown in the same place won both times: the judge likes a place."),
    "failed": ("Failed judgements", "The judge's reply could not be read; its own words say why."),
    "cut": ("Cut at the token limit", "The answer was not finished: is the limit too low, or does the model ramble?"),
    "long": ("Longest answers", "Does the model say more, or only the same at greater length?"),
}


def read_examples(tables: Tables, round: int) -> list[Kind]:
    """The examples of a round, kind by kind; a kind of which there is none is left out."""
    picked = _picked(tables, round)
    ids = sorted({one for pick in picked for one in pick.response_ids})
    prompts = sorted({pick.prompt_id for pick in picked})
    texts = tables.rows(
        "select response_id, text, len(tokens_T)::int as tokens, finish_reason, purpose from responses "
        f"where round = {round} and list_contains(?, response_id)",
        [ids],
    )
    said = tables.rows(
        "select prompt_id, response_ids, status, value, raw from judgements "
        f"where round = {round} and list_contains(?, prompt_id) and list_has_any(?, response_ids) "
        "order by prompt_id, response_ids, sample",
        [prompts, ids],
    )
    asked = tables.rows("select prompt_id, messages from prompts where list_contains(?, prompt_id)", [prompts])
    return told(picked, asked, texts, said)


def _picked(tables: Tables, round: int) -> list[Picked]:
    picked = []
    for kind, order in (
        ("margin", "margin desc, example_id"),
        ("unsure", "abs(strength - 0.5), abs(margin), example_id"),
    ):
        for row in tables.rows(EXAMPLE.format(round, order, EACH)):
            facts = f"strength {number(row['strength'])}, margin {number(row['margin'])}"
            picked.append(Picked(kind, facts, row["prompt_id"], tuple(row["response_ids"]), tuple(row["roles"])))
    for row in tables.rows(FLIPS.format(round, EACH)):
        first, second = row["first"], row["second"]
        facts = f"first shown wins with {number(first)}; the order exchanged, first shown wins with {number(second)}"
        picked.append(Picked("flips", facts, row["prompt_id"], tuple(row["response_ids"]), ("answer A", "answer B")))
    for kind, sql in (("failed", FAILED), ("cut", CUT), ("long", LONG)):
        for row in tables.rows(sql.format(round, EACH)):
            ids = tuple(row["response_ids"])
            roles = ("answer",) if len(ids) == 1 else ("shown first", "shown second")
            picked.append(Picked(kind, "", row["prompt_id"], ids, roles))
    return picked


def told(
    picked: Sequence[Picked],
    prompts: Sequence[Mapping[str, Any]],
    texts: Sequence[Mapping[str, Any]],
    said: Sequence[Mapping[str, Any]],
) -> list[Kind]:
    """Picked examples with the rows of their prompts, answers and judgements."""
    asked = {row["prompt_id"]: prompt_text(row["messages"]) for row in prompts}
    answers = {row["response_id"]: row for row in texts}
    judged: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in said:
        judged[row["prompt_id"]].append(row)
    by_kind: dict[str, list[ExampleTold]] = defaultdict(list)
    for pick in picked:
        by_kind[pick.kind].append(
            ExampleTold(
                pick.facts,
                shown(asked.get(pick.prompt_id, ""), LONGEST),
                tuple(_answers(pick, answers)),
                tuple(_judgements(pick, judged[pick.prompt_id])),
            )
        )
    return [Kind(*KINDS[kind], tuple(by_kind[kind])) for kind in KINDS if kind in by_kind]


def _answers(pick: Picked, answers: Mapping[str, Mapping[str, Any]]) -> list[AnswerTold]:
    pairs = list(zip(pick.response_ids, pick.roles, strict=True))[:ANSWERS]
    return [_answer(role, answers[one]) for one, role in pairs if one in answers]


def _answer(role: str, row: Mapping[str, Any]) -> AnswerTold:
    cut = ", cut at the limit" if row["finish_reason"] == "length" else ""
    whose = "" if row["purpose"] == "train" else f", {row['purpose']}"
    return AnswerTold(role, shown(row["text"], LONGEST), f"{row['tokens']} tokens{cut}{whose}")


def _judgements(pick: Picked, said: Sequence[Mapping[str, Any]]) -> list[JudgementTold]:
    """Those about answers of the example: what shows only them first, before that failed ones where it is shown for
    them."""
    names = dict(zip(pick.response_ids, pick.roles, strict=True))
    rows = [row for row in said if names.keys() & set(row["response_ids"])]
    rows.sort(key=lambda row: (pick.kind == "failed" and row["status"] != "failed", not _all_of(names, row)))
    return [
        JudgementTold(
            " then ".join(names.get(one, "another answer") for one in row["response_ids"]),
            _outcome(row),
            shown(row["raw"], RAW),
        )
        for row in rows[:JUDGEMENTS]
    ]


def _all_of(names: Mapping[str, str], row: Mapping[str, Any]) -> bool:
    return set(row["response_ids"]) <= names.keys()


def _outcome(row: Mapping[str, Any]) -> str:
    if row["status"] == "failed" or row["value"] is None:
        return str(row["status"])
    if len(row["response_ids"]) == 1:
        return f"score {number(row['value'])}"
    return f"first shown wins with {number(row['value'])}"
