"""The rows that a round reads and writes. One dataclass is one row; `loop.shards` stores lists of them as Parquet.

Axis suffixes: `_T` runs over tokens, `_K` over the responses of a group, `_N` over examples. Token ids are the truth;
text is for people and judges. A little longer than other files so that all tables' rows stand in one place.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Literal

Message = dict[str, str]
FinishReason = Literal["end", "stop", "length", "abort"]
Purpose = Literal[
    "train",
    "teacher",
    "explored",
    "baseline",
    "opponent",
    "chosen",
    "rejected",
    "draw",
    "node",
    "revision",
    "judgement",
    "evaluate",
    "defend",
]
Status = Literal["decided", "undecided", "failed"]


def digest_of(*parts: object) -> str:
    """Sha256 (hex, 32 characters) of the parts as canonical JSON; the one way in which identities are derived."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def seed_of(*parts: object) -> int:
    """A 63-bit sampling seed derived from the same kind of tuple as an identity."""
    return int(digest_of("seed", *parts)[:16], 16) >> 1


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """One set of the policy's weights: the round and the optimiser step (counted over the run) that made it.

    The digest of its tensors stands in the `policies` table, once it was pushed.
    """

    round: int
    step: int

    def __str__(self) -> str:
        return f"r{self.round}-s{self.step}"

    @classmethod
    def parse(cls, label: str) -> PolicyVersion:
        """The inverse of `str`. ValueError for anything else."""
        if not (found := re.fullmatch(r"r(\d+)-s(\d+)", label)):
            raise ValueError(f"{label!r} is not the label of a policy version")
        return cls(int(found[1]), int(found[2]))


INITIAL = PolicyVersion(0, 0)
"""The policy that a run starts from: what every engine and learner holds that has just been started."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of the pool, as read and as tokenised once through the policy's template.

    `messages` is the canonical JSON of the chat turns (a plain text prompt with `template: none` is one turn of role
    `text`). `prompt_id` is the digest of messages and answer.
    """

    prompt_id: str
    messages: str
    tokens_T: list[int]
    answer: str | None
    source: str
    completion: str | None = None
    chosen: str | None = None
    rejected: str | None = None
    label: bool | None = None
    teacher: str | None = None

    def turns(self) -> list[Message]:
        """The chat turns as role and content."""
        turns: list[Message] = json.loads(self.messages)
        return turns


@dataclass(frozen=True, slots=True)
class Response:
    """One answer: what it is for, who gave it and where it stands.

    `policy` is the label of the version that sampled it, or `data:COLUMN` of one that stood in a data set.
    `prompt_tokens_T` is what it answers, as the learner sees it. `logprobs_T` are the policy's own (temperature 1,
    untruncated), one float per sampled token, end token included; empty where nobody's are known: for text from
    outside, and where the answer was sampled behind something else than `prompt_tokens_T`. `parent` is the response
    that it continues, revises or judges. A judgement as a response (purpose `judgement`) has the judgement's id, and
    answers the judge's question.
    """

    response_id: str
    round: int
    purpose: str
    policy: str
    prompt_id: str
    k: int
    prompt_tokens_T: list[int]
    tokens_T: list[int]
    logprobs_T: list[float]
    loss_mask_T: list[bool]
    text: str
    finish_reason: str
    seed: int
    sampling: str
    tokenizer: str
    parent: str | None = None

    @property
    def truncated(self) -> bool:
        """Whether the token limit cut the answer: such a response may lose but not win."""
        return self.finish_reason == "length"


@dataclass(frozen=True, slots=True)
class Question:
    """One question put to a judge: one response (pointwise) or two in the order shown (pairwise); `sample` numbers
    repeats."""

    prompt_id: str
    response_ids: list[str]
    sample: int = 0

    @property
    def kind(self) -> Literal["pointwise", "pairwise"]:
        """Pointwise questions show one response, pairwise ones two."""
        return "pairwise" if len(self.response_ids) == 2 else "pointwise"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judge's reply to one question.

    `value` is a score (pointwise; minus infinity is a veto) or the probability that the first response shown is better
    (pairwise); None unless decided or undecided, and where a judge abstained. A failed judgement never carries a
    number. `cut` counts the tokens that the judge's input lost to its limit. `asked_T` and `tokens_T` are the judge's
    input and what it wrote, end token included, where its judgements are learnt from; else empty.
    """

    judgement_id: str
    round: int
    prompt_id: str
    response_ids: list[str]
    sample: int
    raw: str
    status: str
    value: float | None
    judge: str
    prompt_digest: str
    cut: int = 0
    asked_T: list[int] = field(default_factory=list)
    tokens_T: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """One number of a group's verdict: the score of a response, or the probability that it beats the response
    `against`, whose id is the larger one. None is a hole: the question failed or was never asked. `repeats_S`: the
    values of the repeats that came out, where the question was put more than once."""

    round: int
    prompt_id: str
    response_id: str
    against: str | None
    value: float | None
    repeats_S: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One question of the judge's check before a run trusts it, two for each pair of texts: the texts in the order
    shown, `better` the position of the one that is known to be better (None: they are the same), and the judge's
    reply."""

    round: int
    question: int
    kind: str
    prompt: str
    first: str
    second: str
    better: int | None
    raw: str
    status: str
    value: float | None
    judge: str


@dataclass(frozen=True, slots=True)
class Example:
    """What a loss learns from: `response_ids` with their `roles`, `chosen` and `rejected` for a pair, `item` for each
    of a list, `response` for a single one; further roles where a loss asks for them, in which a response may stand
    once more.

    `labels` holds one number per response, or none at all. `strength` is the probability that chosen beats rejected,
    `margin` the judge's gap between them (see `loop.pairing.found.Found`), `weight` multiplies the loss; examples of a
    smaller `stage` are learnt first. `gain`: how far repeated judgements disagree about a pair, in nats from 0 to ln 2;
    None where that is not known.
    """

    example_id: str
    round: int
    prompt_id: str
    response_ids: list[str]
    roles: list[str]
    labels: list[float]
    strength: float
    margin: float
    weight: float
    stage: int
    gain: float | None = None

    def by_role(self, role: str) -> list[str]:
        """The responses in that role."""
        return [one for one, its in zip(self.response_ids, self.roles, strict=True) if its == role]


@dataclass(frozen=True, slots=True)
class AnchorLogProbs:
    """Log-probs of one response under one frozen policy. `numerics` says where they were computed (`learner`) and in
    which dtype; `key` names what they depend on (`loop.anchors.logprobs_key`), so that another round finds them."""

    response_id: str
    round: int
    anchor: str
    policy: str
    numerics: str
    key: str
    logprobs_T: list[float]


@dataclass(frozen=True, slots=True)
class ShardRef:
    """A handle to one written shard file: what the driver moves instead of rows. `stats` are sums over rows for
    progress and tables."""

    table: str
    round: int
    shard: int
    path: str
    rows: int
    digest: str
    stats: dict[str, float]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy version that reached the engines: its manifest (JSON) and the largest log-prob difference that the probe
    saw. `parent` is set on the initial policy of a fork: `IDENTITY@VERSION` in the run it came from."""

    version: str
    round: int
    step: int
    digest: str
    manifest: str
    probe_gap: float
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class RoundRow:
    """What a round came to: everything in its summary that does not depend on time or place, as JSON."""

    round: int
    policy: str
    summary: str


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What depends on time or place; the only table that two runs of one identity do not share.

    `event`: `phase` (its seconds), `shard` (one shard made: seconds from dispatch to handle), `died`, `restarted`,
    `straggler`, `resumed`, `usage` (of a judge
    since it began, as JSON). `actor` is the fleet's name and the actor's number (`generation-0`); `attempt` counts the
    times a shard was given out, from 1; `at` is seconds since 1970; `detail` a sentence.
    """

    round: int
    phase: str
    event: str
    at: float
    seconds: float | None = None
    actor: str | None = None
    host: str | None = None
    pid: int | None = None
    shard: int | None = None
    attempt: int | None = None
    detail: str | None = None
