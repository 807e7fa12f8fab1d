"""How a round's groups come about where the policy's samples are not all of them: stage by stage, each with the weights
of one policy, before the step that completes the groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from loop.fleets import Fleets
from loop.recorder import Recorder
from loop.records import ShardRef
from loop.requests import Drafts, Moment, slices_of, stage, stages
from loop.serving import served
from loop.task import Task

BySlice = dict[int, tuple[ShardRef, ...]]


def draft(task: Task, fleets: Fleets, round: Recorder, at: Moment, prompt_ids: Sequence[str]) -> Drafts:
    """All stages but the last step. Whatever is committed already is handed on."""
    drafts, slices = Drafts(), len(slices_of(task, prompt_ids))
    for number in range(stages(task.config.algorithm)):
        now = stage(task, at, prompt_ids, number, drafts)
        shards = range(number * slices, (number + 1) * slices)
        made = round.drain("draft", "drafts", served(fleets, now.policy, fleets.generate), now.requests, shards=shards)
        drafts = replace(drafts, responses=_with(drafts.responses, made, slices))
        for version in now.weighed:
            weighing = partial(fleets.log_probs, "draft_anchors", round.number, made, version)
            weights = tuple(round.together("weigh", "draft_anchors", weighing))
            drafts = replace(drafts, weights={**drafts.weights, str(version): weights})
        if now.judged:
            asking = served(fleets, now.policy, partial(fleets.judge, policy=now.policy, table="draft_judgements"))
            said = round.drain("judge drafts", "draft_judgements", asking, made, shards=shards)
            drafts = replace(drafts, said=_with(drafts.said, said, slices))
    return drafts


def _with(held: BySlice, made: Sequence[ShardRef], slices: int) -> BySlice:
    """The shards of a stage beside those of earlier ones, by slice."""
    return {ref.shard % slices: (*held.get(ref.shard % slices, ()), ref) for ref in made}
