"""A golden round: a group with fixed judgements and log-probs, taken through a recipe as a run does it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from types import MappingProxyType
from typing import cast

import torch
from omegaconf import DictConfig, OmegaConf

from loop.anchors import Resolved, resolve
from loop.batches import batch_of, example_batch, sequence_of
from loop.config import AlgorithmConfig
from loop.errors import Refused
from loop.lessons import beginnings
from loop.pairing import keep_largest, pair
from loop.recipe import anchors_of, loss_of, rule_of, sources_of
from loop.recipes import FOLDER
from loop.records import Example, PolicyVersion, Purpose, Question, Response, digest_of
from loop.verdict import Group, Verdict
from loop.verdicts import rows_of, verdict, verdict_of
from tests.loop.judged import judged

ROUNDS = (1, 3, 4)
"""Of which the policies are told that serve as anchors and that others are sampled from."""

INITIAL = ("r0", "r0", "r0")
PREVIOUS = ("r0", "r2", "r3")
MAGNET = ("r0", "r2", "r2")
"""The policies of those rounds, by the round that made them."""

SUMS: Mapping[str, tuple[float, float, float, int]] = {
    "a": (-8.0, -10.0, -9.0, 4),
    "b": (-11.0, -9.0, -10.5, 2),
    "c": (-6.0, -7.0, -5.0, 3),
    "d": (-12.0, -9.0, -11.0, 4),
    "e": (-5.0, -5.5, -6.0, 2),
    "f": (-9.0, -5.0, -8.0, 5),
    "g": (-7.0, -10.0, -7.5, 4),
    "h": (-10.0, -10.5, -12.0, 4),
}
"""Of each response: log-probs under the policy, the first and the second anchor (nats), and tokens."""

NOTHING: Mapping[str, float] = MappingProxyType({})

BIAS = 0.02
"""By how much the judge prefers what is shown first; both orders cancel it."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One response of a group: what it is for, its length in characters, and the judge's score of it, one number for
    each repeat in turn."""

    purpose: Purpose = "train"
    score: float | tuple[float, ...] = 0.0
    length: int = 1
    parent: str | None = None
    number: int | None = None  # k, where it is not the next one of its purpose
    same_as: str | None = None  # the response whose tokens it holds
    sums: str | None = None  # whose row of SUMS is its own
    cut: bool = False  # at the token limit


@dataclass(frozen=True)
class Expected:
    """One example: its members (a letter each), and the loss that the published formula gives."""

    members: str
    loss: float
    strength: float = 1.0
    margin: float = 0.0
    labels: tuple[float, ...] = ()
    weight: float = 1.0
    stage: int = 0
    gain: float | None = None
    roles: tuple[str, ...] = ()

    @property
    def all_roles(self) -> tuple[str, ...]:
        """The roles, where they are not a pair's or a single response's."""
        usual = {1: ("response",), 2: ("chosen", "rejected")}
        return self.roles or usual[len(self.members)]


@dataclass(frozen=True, kw_only=True)
class Round:
    """A recipe's golden round. `beats` holds P(first beats second) by two letters; what it lacks follows from the
    scores of a Bradley-Terry judge. `passed`: tests passed, where no judge can say so yet. `number`: the round that the
    group belongs to. In each of `ROUNDS`: `begins`, the policy with which it begins; `anchors` and `others`, those that
    serve."""

    number: int = 1
    group: Mapping[str, Told]
    beats: Mapping[str, float] = field(default_factory=dict)
    passed: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    examples: tuple[Expected, ...]
    begins: tuple[str, ...] = PREVIOUS
    anchors: tuple[tuple[str, ...], ...] = ()
    others: tuple[tuple[str, ...], ...] = ()
    state: Mapping[str, float] = field(default_factory=dict)  # what the loss remembers


@dataclass(frozen=True)
class Played:
    """What a recipe made of a group, and the loss of each example."""

    examples: tuple[Example, ...]
    losses: tuple[float, ...]


@cache
def recipe(name: str) -> AlgorithmConfig:
    """A recipe as it stands in its file, on top of those that the file names and the defaults."""
    files: list[DictConfig] = []
    bases = [name]
    while bases:
        file = OmegaConf.load(FOLDER / f"{bases.pop()}.yaml")
        assert isinstance(file, DictConfig)
        bases += file.pop("defaults", [])
        files.append(file)
    merged = OmegaConf.merge(OmegaConf.structured(AlgorithmConfig), *reversed(files))
    return cast(AlgorithmConfig, OmegaConf.to_object(merged))


def group_of(told: Mapping[str, Told], number: int = 1) -> Group:
    """The group in a round; the letters are the ids, which is how ties are broken."""
    rows: list[Response] = []
    for letter, one in told.items():
        lp, *_, n = SUMS[one.sums or letter]
        next_k = sum(row.purpose == one.purpose for row in rows)
        token = ord(one.same_as or letter)
        rows.append(
            Response(
                response_id=letter,
                round=number,
                purpose=one.purpose,
                policy="r0-s0",
                prompt_id="p",
                k=next_k if one.number is None else one.number,
                prompt_tokens_T=[1, 2],
                tokens_T=[token] * n,
                logprobs_T=[lp / n] * n,
                loss_mask_T=[True] * n,
                text=(one.same_as or letter) * one.length,
                finish_reason="length" if one.cut else "end",
                seed=0,
                sampling="{}",
                tokenizer="t",
                parent=one.parent,
            )
        )
    return Group("p", tuple(rows))


def answer(told: Round, question: Question) -> float:
    """What the judge says."""
    scores = {letter: one.score if isinstance(one.score, tuple) else (one.score,) for letter, one in told.group.items()}
    first, *second = [scores[i][question.sample % len(scores[i])] for i in question.response_ids]
    if not second:
        return first
    i, j = question.response_ids
    if i + j in told.beats:
        preference = told.beats[i + j]
    elif j + i in told.beats:
        preference = 1 - told.beats[j + i]
    else:
        preference = 1 / (1 + math.exp(second[0] - first))
    return preference + BIAS


def play(algorithm: AlgorithmConfig, told: Round) -> Played:
    """The group's examples and their losses. Raises: Refused where the recipe's loss cannot learn from them."""
    group, plan = group_of(told.group, told.number), algorithm.plan
    if told.passed:
        says = Verdict(objectives_KM=tuple(told.passed[letter] for letter in told.group))
    else:
        rows = rows_of(verdict(plan, group, judged(plan, group, lambda question: answer(told, question))), group, 1)
        says = verdict_of(plan, rows, group)
    rule, options = rule_of(algorithm)
    examples = pair(rule, options, group, says, 1, algorithm.truncated_may_win)
    examples = keep_largest(examples, algorithm.keep)
    sums = {letter: one.sums or letter for letter, one in told.group.items()}
    return Played(tuple(examples), losses_of(algorithm, group, sums, examples, told.state))


def losses_of(
    algorithm: AlgorithmConfig,
    group: Group,
    sums: Mapping[str, str],
    examples: Sequence[Example],
    state: Mapping[str, float] = NOTHING,
) -> tuple[float, ...]:
    """The recipe's loss of each example; `sums`: whose row of SUMS each response of the group has."""
    if not examples:
        return ()
    loss = loss_of(algorithm)

    def spread(one: str, which: int) -> list[float]:
        row = SUMS[sums[one]]
        return [row[which] / row[3]] * row[3]

    anchors = range(1, 1 + len(algorithm.anchors))
    sequences = {r.response_id: sequence_of(r, [spread(r.response_id, a) for a in anchors]) for r in group.responses_K}
    flat = example_batch(examples, sequences)
    used = dict.fromkeys(one for example in examples for one in example.response_ids)
    logprobs_R = torch.tensor([x for one in used for x in spread(one, 0)], dtype=torch.float64)
    batch = batch_of(flat, logprobs_R, loss.row.kind, loss.needs)
    prepared = None
    if loss.row.statistics:
        prepared, _ = loss.prepare(loss.read(batch), dict(state) or loss.initial_state())
    return tuple(loss.evaluate(batch, prepared).loss_N.tolist())


@dataclass(frozen=True)
class Policies:
    """In each of `ROUNDS`: the policy that it begins with, those of the anchors, and those that others come from."""

    begins: tuple[str, ...]
    anchors: tuple[tuple[str, ...], ...]
    others: tuple[tuple[str, ...], ...]


def policies(algorithm: AlgorithmConfig) -> Policies:
    """The policies that a recipe asks for."""
    ended = [PolicyVersion(round, 8 * round) for round in range(1, max(ROUNDS))]
    began = beginnings(algorithm, ended)
    latest = [began[0], *ended]
    return Policies(
        begins=tuple(f"r{began[round - 1].round}" for round in ROUNDS),
        anchors=tuple(
            tuple(_label(resolve(kind, round, began, options, 0)) for round in ROUNDS)
            for kind, options in anchors_of(algorithm)
        ),
        others=tuple(
            tuple(_label(source.resolved(round, began, latest[round - 1], 0)) for round in ROUNDS)
            for source in sources_of(algorithm)
            if source.policy
        ),
    )


def _label(resolved: Resolved) -> str:
    """`r2`, or `0.875 r2 + 0.125 r0`."""
    rounds = [f"r{PolicyVersion.parse(label).round}" for label in resolved.labels]
    if len(rounds) == 1:
        return rounds[0]
    return " + ".join(f"{weight:g} {label}" for weight, label in zip(resolved.weights, rounds, strict=True))


def same_on(one: str, other: str, told: Round) -> bool:
    """Whether two recipes make the same of a group, to 1e-6."""
    found: list[object] = []
    for name in (one, other):
        try:
            played = play(recipe(name), told)
        except (Refused, KeyError, AssertionError) as error:
            found.append((type(error).__name__, name))  # what one cannot learn from is no likeness
            continue
        rows = [replace(example, example_id="", margin=round(example.margin, 6)) for example in played.examples]
        key = sorted(digest_of(repr(row), f"{loss:.6f}") for row, loss in zip(rows, played.losses, strict=True))
        found.append(key)
    return found[0] == found[1]
