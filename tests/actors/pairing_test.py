"""From judgements to verdicts to examples, for one shard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from actors.pairing import aggregate_shard, pair_shard
from loop.config import AlgorithmConfig, Control, Plan, PlanConfig
from loop.records import Example, Judgement, Response, ShardRef, VerdictRow, digest_of
from loop.shards import read_shard, write_shard
from loop.verdict import Group
from loop.verdicts import groups_of, verdict, verdict_of
from tests.loop.factories import response
from tests.loop.judged import judged

RECIPE = AlgorithmConfig(
    "r",
    4,
    PlanConfig(Plan.against_baseline),
    pairing={"name": "best_against_rest", "min_strength": 0.6},
    loss={"name": "spce"},
)
SHUFFLED = replace(RECIPE, control=Control.shuffled)
PROMPTS = ("b", "a", "c")


def shard(folder: Path) -> tuple[ShardRef, ShardRef]:
    """Responses, and judgements that find answer number `at` of the prompt number `at` the best one."""
    rows = [response(k, prompt_id=p, id=digest_of(p, k)) for p in PROMPTS for k in range(4)]
    said: list[Judgement] = []
    for at, group in enumerate(groups_of(rows), start=1):
        best = group.responses_K[at].response_id
        answers = judged(RECIPE.plan, group, lambda q, best=best: 0.9 if q.response_ids[0] == best else 0.1)
        said += [replace(one, round=1) for one in answers]
    return write_shard(folder, "responses", 1, 0, rows, Response), write_shard(
        folder, "judgements", 1, 0, said, Judgement
    )


def verdicts(ref: ShardRef) -> list[VerdictRow]:
    return read_shard(ref, VerdictRow)


def chosen(folder: Path, recipe: AlgorithmConfig, responses: ShardRef, said: ShardRef) -> dict[str, set[int]]:
    """By prompt the number of the answer that its pairs choose."""
    k_of = {r.response_id: r.k for r in read_shard(responses, Response)}
    pairs = read_shard(pair_shard(str(folder), recipe, responses, said), Example)
    return {p: {k_of[one.by_role("chosen")[0]] for one in pairs if one.prompt_id == p} for p in PROMPTS}


def test_a_shards_verdicts_are_those_of_its_judgements(tmp_path: Path) -> None:
    responses, judgements = shard(tmp_path)
    rows = verdicts(aggregate_shard(str(tmp_path), RECIPE, responses, judgements))
    for group in groups_of(read_shard(responses, Response)):
        own = [j for j in read_shard(judgements, Judgement) if j.prompt_id == group.prompt_id]
        assert verdict_of(RECIPE.plan, of(rows, group), group) == verdict(RECIPE.plan, group, own)
    assert chosen(tmp_path, RECIPE, responses, write_shard(tmp_path, "verdicts", 1, 0, rows, VerdictRow)) == {
        "b": {1},
        "a": {2},
        "c": {3},
    }


def test_in_a_control_run_the_verdicts_table_holds_what_was_shuffled_and_pairs_follow_it(tmp_path: Path) -> None:
    responses, judgements = shard(tmp_path)
    plain = aggregate_shard(str(tmp_path / "plain"), RECIPE, responses, judgements)
    ref = aggregate_shard(str(tmp_path), SHUFFLED, responses, judgements)
    assert ref.rows == plain.rows and ref.stats == plain.stats
    shape = [(row.round, row.prompt_id, row.response_id, row.against) for row in verdicts(plain)]
    assert [(row.round, row.prompt_id, row.response_id, row.against) for row in verdicts(ref)] == shape
    given = chosen(tmp_path, SHUFFLED, responses, ref)
    assert given["b"] != {1} and given["a"] != {2} and given["c"] != {3}
    assert sorted(k for ks in given.values() for k in ks) == [1, 2, 3]


def of(rows: list[VerdictRow], group: Group) -> list[VerdictRow]:
    return [row for row in rows if row.prompt_id == group.prompt_id]
