"""One request's groups: what there is of them already, what is still wanted, and the whole of them in order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import get_args

from loop.errors import Refused
from loop.records import Judgement, Prompt, Purpose, Response, digest_of, seed_of
from loop.samplers import named_strategy
from loop.samplers.mixing import chosen
from loop.samplers.strategy import SAMPLES, Draw, Values
from loop.samplers.wanted import NOT_SAMPLED, key_of
from loop.sampling import GenerateRequest, Mixture
from loop.verdict import Group

ORDER = {purpose: at for at, purpose in enumerate(get_args(Purpose))}
"""In which order a group's responses stand in a shard."""

Sums = Mapping[str, Mapping[str, float]]
"""By a policy's label and response id: the sum of a response's log-probs under that policy."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A prompt's group before a request: responses `beside` in the order in which they came, and the judge's score of
    each (`values`)."""

    prompt: Prompt
    beside: tuple[Response, ...]
    values: Values


def begun(prompts: Sequence[Prompt], beside: Iterable[Response], said: Iterable[Judgement]) -> list[Begun]:
    """The groups of some prompts. A response's score is the mean over the judgements of it alone that did not fail, as
    in its verdict."""
    told: dict[str, list[float]] = defaultdict(list)
    for judgement in said:
        if judgement.status != "failed" and judgement.value is not None and len(judgement.response_ids) == 1:
            told[judgement.response_ids[0]].append(judgement.value)
    there: dict[str, list[Response]] = defaultdict(list)
    for response in beside:
        there[response.prompt_id].append(response)
    return [
        Begun(
            prompt,
            tuple(rows := there[prompt.prompt_id]),
            {row.response_id: fmean(told[row.response_id]) if told[row.response_id] else None for row in rows},
        )
        for prompt in prompts
    ]


def proposed(request: GenerateRequest, group: Begun) -> list[Draw]:
    """What the request's strategy still wants for a group."""
    strategy, defaults, _ = named_strategy(request.strategy)
    there, options = Group(group.prompt.prompt_id, group.beside), {**defaults, **request.options}
    draws = strategy.propose(group.prompt, there, group.values, options, request.step, request.k)
    return [replace(draw, purpose=request.purpose) for draw in draws] if strategy is SAMPLES else draws


@dataclass(frozen=True, slots=True)
class Others:
    """What a request for whole groups puts into one besides what is proposed: responses that there are already, and
    texts to be encoded, each with its column. `effective` is the effective sample size of a mixture's draws, summed
    over mixtures."""

    rows: tuple[Response, ...] = ()
    given: tuple[tuple[str, Draw], ...] = ()
    effective: float = 0.0


def others(request: GenerateRequest, group: Begun, sums: Sums) -> Others:
    """The responses beside without draws for mixtures, those chosen to stand for a mixture's samples, and the texts of
    the prompt's columns. Each purpose is numbered on. Raises: Refused where a prompt lacks a text."""
    rows = [row for row in group.beside if row.purpose != "draw"]
    taken: Counter[str] = Counter()
    for row in rows:
        taken[row.purpose] = max(taken[row.purpose], row.k + 1)
    effective = 0.0
    for mixture in request.mixtures:
        drawn, size = _mixed(request, group, mixture, sums, taken[mixture.purpose])
        taken[mixture.purpose] += len(drawn)
        rows += drawn
        effective += size
    given: list[tuple[str, Draw]] = []
    for column, purpose in request.given:
        text = getattr(group.prompt, column)
        if text is None:
            raise Refused(
                f"prompt {group.prompt.prompt_id} of {group.prompt.source} has no `{column}`, "
                f"which algorithm.others asks for."
            )
        given.append((column, Draw(purpose=purpose, number=taken[purpose], text=text)))
        taken[purpose] += 1
    return Others(tuple(rows), tuple(given), effective)


def _mixed(
    request: GenerateRequest, group: Begun, mixture: Mixture, sums: Sums, first: int
) -> tuple[list[Response], float]:
    numbers = range(mixture.first, mixture.first + mixture.draws)
    draws = [row for row in group.beside if row.purpose == "draw" and row.k in numbers]
    previous = [sum(row.logprobs_T) for row in draws]
    under = sums.get(mixture.other, {})
    if mixture.weights and (missing := [row.response_id for row in draws if row.response_id not in under]):
        raise Refused(f"response {missing[0]} has no log-probs under policy {mixture.other} in any shard")
    other = [under[row.response_id] for row in draws] if mixture.weights else previous
    prompt_id = group.prompt.prompt_id
    seed = seed_of(request.identity, request.round, prompt_id, "mixture", mixture.first)
    picked = chosen(other, previous, mixture.weight, mixture.k, seed)
    rows = []
    for number, position in enumerate(picked.positions, start=first):
        row = draws[position]
        id = digest_of(*key_of(request, mixture.purpose, row.policy, prompt_id, number))
        rows.append(replace(row, response_id=id, purpose=mixture.purpose, k=number))
    return rows, picked.effective


def ordered(groups: Sequence[Begun], rows: Iterable[Response]) -> list[Response]:
    """A shard's rows: by prompt in the order of the groups, then by purpose, then by number."""
    place = {group.prompt.prompt_id: at for at, group in enumerate(groups)}
    return sorted(rows, key=lambda row: (place[row.prompt_id], ORDER[row.purpose], row.k))  # type: ignore[index]


def require_distinct(strategy: str, rows: Iterable[Response]) -> None:
    """Raises: ValueError where two responses to a prompt share purpose and number: a fault of a strategy, or of a
    recipe whose others have a purpose that its strategy uses."""
    counted = Counter((row.prompt_id, row.purpose, row.k) for row in rows)
    for (prompt_id, purpose, k), count in counted.items():
        if count > 1:
            raise ValueError(f"{count} responses of strategy {strategy} to prompt {prompt_id} are {purpose} {k}")


def statistics(request: GenerateRequest, prompts: int, rows: Sequence[Response]) -> dict[str, float]:
    """Sums over a shard: prompts, responses, and of those that the request's policy sampled in this round how many
    there are (sampled), tokens (end tokens included), truncated ones, and log-probs where they are known (nats)."""
    own = [row for row in rows if row.policy == request.policy and row.sampling != NOT_SAMPLED]
    return {
        "prompts": float(prompts),
        "responses": float(len(rows)),
        "sampled": float(len(own)),
        "tokens": float(sum(len(row.tokens_T) for row in own)),
        "truncated": float(sum(row.truncated for row in own)),
        "logprob": sum(sum(row.logprobs_T) for row in own),
    }
