"""What a tracker gets of a round besides its numbers, read from its shards."""

from __future__ import annotations

from collections.abc import Callable

from loop.ledger import TABLES
from loop.records import CheckRow, ShardRef
from loop.shards import read_shards
from loop.shown_examples import lengths_of, shown_examples
from loop.tracking.charts import length_chart, reliability_chart
from loop.tracking.protocol import Tracker


def tell_details(
    tracker: Tracker, round: int, shards_of: Callable[[str], list[ShardRef]], prompts_path: str, most: int
) -> None:
    """Tell a round's first examples, at most so many, its charts and its shards; `shards_of` gives those of a table."""
    examples = shown_examples(shards_of, prompts_path, most) if round else []
    charts = [
        reliability_chart(read_shards(shards_of("judge_checks"), CheckRow)),
        length_chart("lengths", lengths_of(shards_of("responses"))),
        length_chart("evaluation_lengths", lengths_of(shards_of("evaluation_responses"))),
    ]
    shards = [ref for table in TABLES for ref in shards_of(table)]
    tracker.details(round, examples, [chart for chart in charts if chart is not None], shards)
