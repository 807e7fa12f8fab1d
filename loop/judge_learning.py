"""How a round comes to pairs of its judge's own judgements: they become responses, are compared, and are paired."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from loop.fleets import Fleets, MetaRequest
from loop.recorder import Recorder
from loop.requests import Moment
from loop.serving import served


def judge_learns(fleets: Fleets, round: Recorder, at: Moment) -> None:
    """Behind the round's own shards of responses, judgements and examples come as many that the judge learns from. No
    weights change before: judge and meta-judge are the policy with which the round begins."""
    asking = served(fleets, at.policy, partial(fleets.meta, policy=at.policy))
    judged = list(zip(round.shards("responses"), round.shards("judgements"), strict=True))
    mine = range(len(judged), 2 * len(judged))
    asked = [MetaRequest("responses", *one, shard=shard) for shard, one in zip(mine, judged, strict=True)]
    competing = round.drain("take judgements", "responses", partial(fleets.meta, policy=at.policy), asked, shards=mine)
    asked = [replace(one, table="judgements", competing=ref) for one, ref in zip(asked, competing, strict=True)]
    compared = round.drain("meta-judge", "judgements", asking, asked, shards=mine)
    asked = [replace(one, table="examples", compared=ref) for one, ref in zip(asked, compared, strict=True)]
    pairs = round.drain("pair judgements", "examples", partial(fleets.meta, policy=at.policy), asked, shards=mine)
    failed, rows = sum(ref.stats["failed"] for ref in compared), sum(ref.rows for ref in compared)
    round.note(
        f"The judge learns, too: {sum(ref.rows for ref in pairs)} pairs of its own judgements, "
        f"from {rows} comparisons of which {failed:.0f} failed."
    )
