"""One example with everything behind it: prompt, answers, judgements, policy versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loop.errors import Refused
from loop.finding import store_of
from loop.ledger import Ledger
from loop.query import select
from loop.records import INITIAL

LISTED = 5
"""Ids spelled out in a sentence."""


@dataclass(frozen=True, slots=True)
class PromptTold:
    """The prompt with all its turns (role and content)."""

    prompt_id: str
    source: str
    turns: tuple[dict[str, str], ...]
    tokens: int
    answer: str | None


@dataclass(frozen=True, slots=True)
class ParentTold:
    """What an answer continues or revises, or a judgement is about: a draft, or another response of its group."""

    response_id: str
    purpose: str
    policy: str
    text: str


@dataclass(frozen=True, slots=True)
class ResponseTold:
    """An answer, its role in the example, its label if the pairing gave one, and how it was sampled.

    `policy` is a version's label, whose tensors have the digest `policy_digest`, or `data:COLUMN` of a text that stood
    in the prompts' file. `logprob` is that of the whole answer under its policy, None where nobody knows it. `parents`:
    what it continues, revises or judges, what that does, and so on.
    """

    response_id: str
    role: str
    label: float | None
    purpose: str
    k: int
    policy: str
    policy_digest: str | None
    text: str
    tokens: int
    finish_reason: str
    seed: int
    sampling: dict[str, Any]
    logprob: float | None
    anchors: dict[str, str]
    parents: tuple[ParentTold, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgementTold:
    """A judge's reply; `shown` names the responses in the order shown: by the role that one alone has in the example
    (`chosen`, `rejected`), or by id."""

    judgement_id: str
    judge: str
    shown: tuple[str, ...]
    sample: int
    status: str
    value: float | None
    raw: str


@dataclass(frozen=True, slots=True)
class PolicyTold:
    """A policy version behind the example. `parent` is IDENTITY@VERSION in the run that this one was forked from."""

    version: str
    round: int
    digest: str
    probe_gap: float
    parent: str | None


@dataclass(frozen=True, slots=True)
class ExampleInspection:
    """One example and all that it rests on."""

    run: str
    example_id: str
    round: int
    strength: float
    margin: float
    weight: float
    prompt: PromptTold
    responses: tuple[ResponseTold, ...]
    judgements: tuple[JudgementTold, ...]
    policies: tuple[PolicyTold, ...]


def inspect_example(folder: Path, example: str) -> ExampleInspection:
    """An example by its id or how that begins. Raises: Refused when no example's does, or several do."""
    ledger = Ledger(store_of(folder))
    row = _example(ledger, folder.name, example)
    ids, roles = row["response_ids"], row["roles"]
    anchors = select(
        ledger, "anchors", "select * exclude logprobs_T from anchors where list_contains(?, response_id)", [ids]
    )
    policies = {one["version"]: one for one in select(ledger, "policies", "select * from policies order by round")}
    responses = [
        _response(
            _sampled(ledger, row["round"], one_id),
            role,
            label,
            policies,
            {a["anchor"]: a["policy"] for a in anchors if a["response_id"] == one_id},
            ledger,
        )
        for one_id, role, label in zip(ids, roles, row["labels"] or [None] * len(ids), strict=True)
    ]
    behind = {str(INITIAL), *(one.policy for one in responses), *(one["policy"] for one in anchors)}
    return ExampleInspection(
        run=folder.name,
        **{name: row[name] for name in ("example_id", "round", "strength", "margin", "weight")},
        prompt=_prompt(ledger, row["prompt_id"]),
        responses=tuple(responses),
        judgements=tuple(_judgements(ledger, ids, roles)),
        policies=tuple(_policy(one) for version, one in policies.items() if version in behind),
    )


def _example(ledger: Ledger, run: str, example: str) -> dict[str, Any]:
    """The one example whose id begins like that. Raises: Refused."""
    found = select(
        ledger,
        "examples",
        "select *, count(*) over () as others from examples where starts_with(example_id, ?) "
        "order by example_id limit ?",
        [example, LISTED],
    )
    if not found:
        raise Refused(
            f"no example of {run} begins with {example!r}; "
            f"ratchet inspect {run} --sql 'select example_id, round, margin from examples limit 20' shows some"
        )
    if len(found) > 1:
        others = found[0]["others"]
        listed = ", ".join(one["example_id"] for one in found) + (", ..." if others > len(found) else "")
        raise Refused(f"{others} examples of {run} begin with {example!r}: {listed}; write more of the id")
    return found[0]


def _prompt(ledger: Ledger, prompt_id: str) -> PromptTold:
    (row,) = select(ledger, "prompts", "select * from prompts where prompt_id = ?", [prompt_id])
    return PromptTold(
        row["prompt_id"], row["source"], tuple(json.loads(row["messages"])), len(row["tokens_T"]), row["answer"]
    )


def _sampled(ledger: Ledger, round: int, response_id: str) -> dict[str, Any]:
    """A response, looked for in the example's round first, so that rows of other rounds are seldom read."""
    sql = "select * from responses where response_id = ?"
    found = select(ledger, "responses", f"{sql} and round = ?", [response_id, round])
    return (found or select(ledger, "responses", sql, [response_id]))[0]


def _parents(ledger: Ledger, row: Mapping[str, Any]) -> list[ParentTold]:
    """The nearest first."""
    told: list[ParentTold] = []
    while (wanted := row["parent"]) is not None:
        for table in ("responses", "drafts"):
            sql = f"select * from {table} where response_id = ? and round = ?"
            if found := select(ledger, table, sql, [wanted, row["round"]]):
                break
        else:
            break
        row = found[0]
        told.append(ParentTold(row["response_id"], row["purpose"], row["policy"], row["text"]))
    return told


def _response(
    row: Mapping[str, Any],
    role: str,
    label: float | None,
    policies: Mapping[str, Mapping[str, Any]],
    anchors: dict[str, str],
    ledger: Ledger,
) -> ResponseTold:
    version = row["policy"]
    return ResponseTold(
        response_id=row["response_id"],
        role=role,
        label=label,
        purpose=row["purpose"],
        k=row["k"],
        policy=version,
        policy_digest=policies[version]["digest"] if version in policies else None,
        text=row["text"],
        tokens=len(row["tokens_T"]),
        finish_reason=row["finish_reason"],
        seed=row["seed"],
        sampling=json.loads(row["sampling"]),
        logprob=sum(row["logprobs_T"]) if row["logprobs_T"] else None,
        anchors=anchors,
        parents=tuple(_parents(ledger, row)),
    )


def _judgements(ledger: Ledger, ids: Sequence[str], roles: Sequence[str]) -> list[JudgementTold]:
    """Every judgement that showed one of the responses, those that showed most of them first."""
    rows = select(
        ledger,
        "judgements",
        "select * from judgements where list_has_any(response_ids, ?) order by judgement_id",
        [[*ids]],
    )
    names = {one: role if roles.count(role) == 1 else one for one, role in zip(ids, roles, strict=True)}
    told = [
        JudgementTold(
            judgement_id=row["judgement_id"],
            judge=row["judge"],
            shown=tuple(names.get(one, one) for one in row["response_ids"]),
            sample=row["sample"],
            status=row["status"],
            value=row["value"],
            raw=row["raw"],
        )
        for row in rows
    ]
    return sorted(told, key=lambda one: (-len(set(one.shown) & {*names.values()}), one.shown, one.sample))


def _policy(row: Mapping[str, Any]) -> PolicyTold:
    return PolicyTold(row["version"], row["round"], row["digest"], row["probe_gap"], row["parent"])
