"""What each phase asks the engines for: pure functions of the configuration, the round and the policy versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from loop.anchors import Resolved
from loop.config import AlgorithmConfig, RolloutConfig
from loop.evaluation.splits import Split
from loop.recipe import sampler_of, sources_of
from loop.records import PolicyVersion, Purpose, ShardRef, seed_of
from loop.samplers.sources import Source
from loop.sampling import GenerateRequest, Mixture, Sampling
from loop.task import Task


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a round stands: its number, the policy with which it begins, the one with which the round before ended
    (another one where that round only looked ahead), and those with which all rounds up to it began."""

    round: int
    policy: PolicyVersion
    latest: PolicyVersion
    history: Sequence[PolicyVersion]


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the steps in which a round's groups come about, before the last one: all of its drafts are sampled from
    one policy. `judged`: the strategy wants to know what the judge says of them. `weighed`: the versions whose
    log-probs of the drafts a mixture needs."""

    requests: tuple[GenerateRequest, ...]
    policy: PolicyVersion
    judged: bool = False
    weighed: tuple[PolicyVersion, ...] = ()


@dataclass(frozen=True, slots=True)
class Drafts:
    """What the stages so far came to, by the slice of prompts that it belongs to: shards of responses and judgements;
    and by the version's label the draws' log-probs."""

    responses: dict[int, tuple[ShardRef, ...]] = field(default_factory=dict)
    said: dict[int, tuple[ShardRef, ...]] = field(default_factory=dict)
    weights: dict[str, tuple[ShardRef, ...]] = field(default_factory=dict)


def sampling_of(rollout: RolloutConfig, options: Mapping[str, float] | None = None) -> Sampling:
    """The sampling parameters of a configuration, with a recipe's in place of some."""
    plain = Sampling(
        rollout.temperature,
        rollout.top_p,
        rollout.top_k,
        rollout.min_tokens,
        rollout.max_tokens,
        tuple(rollout.stop),
    )
    recipe: dict[str, Any] = dict(options or {})
    return replace(plain, **recipe)


def is_plain(rollout: RolloutConfig) -> bool:
    """Whether answers are drawn from the policy itself, neither sharpened nor truncated."""
    return rollout.temperature == 1 and rollout.top_p == 1 and rollout.top_k == 0 and rollout.min_tokens == 0


def slices_of(task: Task, prompt_ids: Sequence[str]) -> list[tuple[str, ...]]:
    """Prompts cut into fixed slices of `rollout.shard_prompts`, in order: slice i is always the same prompts."""
    size = task.config.rollout.shard_prompts
    return [tuple(prompt_ids[start : start + size]) for start in range(0, len(prompt_ids), size)]


def stages(recipe: AlgorithmConfig) -> int:
    """How many stages come before the last step of a round's groups: one for each policy of which others are sampled,
    then the strategy's own."""
    strategy, options, _ = sampler_of(recipe)
    return len(_sampled(recipe)) + strategy.steps(options) - 1


def stage(task: Task, at: Moment, prompt_ids: Sequence[str], number: int, drafts: Drafts) -> Stage:
    """Stage `number` of a round, given what the earlier ones came to. Its shards are those from `number` times the
    number of slices on."""
    sources, slices = _sampled(task.config.algorithm), slices_of(task, prompt_ids)
    numbered = list(enumerate(slices, start=number * len(slices)))
    if number < len(sources):
        return _of_source(task, at, sources[number], sources[:number], numbered)
    _, _, sampling = sampler_of(task.config.algorithm)
    requests = tuple(
        replace(
            _own(task, at, "drafts", shard, ids, sampling, number - len(sources)),
            whole=False,
            beside=drafts.responses.get(slice, ()),
            said=drafts.said.get(slice, ()),
        )
        for slice, (shard, ids) in enumerate(numbered)
    )
    return Stage(requests, at.policy, judged=True)


def _sampled(recipe: AlgorithmConfig) -> list[Source]:
    return [source for source in sources_of(recipe) if source.policy]


def _of_source(
    task: Task, at: Moment, source: Source, before: Sequence[Source], numbered: Sequence[tuple[int, tuple[str, ...]]]
) -> Stage:
    """Samples of another policy, as it is: neither sharpened nor truncated. Those for one purpose are numbered on."""
    labels, purpose, k = _resolved(task, at, source).labels, *_drawn(task, at, source)
    mixed = len(labels) > 1
    policy = at.policy if mixed else PolicyVersion.parse(labels[0])
    sampling = replace(sampling_of(task.config.rollout), temperature=1.0, top_p=1.0, top_k=0)
    first = sum(n for its, n in (_drawn(task, at, one) for one in before) if its == purpose)
    requests = tuple(
        replace(
            _request(task, "drafts", at.round, shard, purpose, policy, ids, k, sampling),
            whole=False,
            options={"first": first},
        )
        for shard, ids in numbered
    )
    others = tuple(PolicyVersion.parse(label) for label in labels if label != str(at.policy))
    return Stage(requests, policy, weighed=others if mixed else ())


def _drawn(task: Task, at: Moment, source: Source) -> tuple[Purpose, int]:
    """What a source's samples are drawn for, and how many."""
    mixed = len(_resolved(task, at, source).labels) > 1
    return ("draw", source.draws) if mixed else (source.purpose, source.k)


def train_requests(task: Task, at: Moment, prompt_ids: Sequence[str], drafts: Drafts) -> list[GenerateRequest]:
    """What completes a round's groups: K responses for each of its prompts, or the last step of another strategy."""
    recipe = task.config.algorithm
    strategy, options, sampling = sampler_of(recipe)
    given = tuple((source.column, source.purpose) for source in sources_of(recipe) if source.column)
    return [
        replace(
            _own(task, at, "responses", number, ids, sampling, strategy.steps(options) - 1),
            beside=drafts.responses.get(number, ()),
            said=drafts.said.get(number, ()),
            given=given,
            mixtures=tuple(_mixtures(task, at, drafts)),
        )
        for number, ids in enumerate(slices_of(task, prompt_ids))
    ]


def _mixtures(task: Task, at: Moment, drafts: Drafts) -> Iterator[Mixture]:
    """Which draws stand for samples of the mixture; none while all that it is made of is one policy."""
    for source in _sampled(task.config.algorithm):
        labels = _resolved(task, at, source).labels
        if len(labels) > 1:
            other = next(label for label in labels if label != str(at.policy))
            yield Mixture(source.purpose, source.k, 0, source.draws, source.weight, other, drafts.weights[other])


def _resolved(task: Task, at: Moment, source: Source) -> Resolved:
    return source.resolved(at.round, at.history, at.latest, seed_of(task.identity, "others"))


def evaluation_requests(task: Task, round: int, policy: PolicyVersion, split: Split) -> list[GenerateRequest]:
    """Answers to held-out prompts."""
    ids = [prompt.prompt_id for prompt in split.prompts(task.pool)]
    k, sampling = task.config.evaluate.samples, sampling_of(task.config.rollout)
    return [
        _request(task, split.answers, round, number, split.purpose, policy, some, k, sampling)
        for number, some in enumerate(slices_of(task, ids))
    ]


def _own(
    task: Task, at: Moment, table: str, shard: int, ids: tuple[str, ...], sampling: Mapping[str, float], step: int
) -> GenerateRequest:
    """A step of the recipe's strategy."""
    strategy, options, _ = sampler_of(task.config.algorithm)
    drawn = sampling_of(task.config.rollout, sampling)
    request = _request(task, table, at.round, shard, "train", at.policy, ids, task.config.algorithm.k, drawn)
    return replace(request, strategy=strategy.name, options=options, step=step)


def _request(
    task: Task,
    table: str,
    round: int,
    shard: int,
    purpose: Purpose,
    policy: PolicyVersion,
    ids: tuple[str, ...],
    k: int,
    sampling: Sampling,
) -> GenerateRequest:
    return GenerateRequest(
        identity=task.identity,
        store=task.store,
        table=table,
        round=round,
        shard=shard,
        purpose=purpose,
        policy=str(policy),
        prompts_path=task.prompts_path,
        prompt_ids=ids,
        k=k,
        sampling=sampling,
        template=task.config.prompts.template,
    )
