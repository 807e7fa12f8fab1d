"""Every recipe in the real loop: two rounds of one optimiser step each, on the small policy, in the same processes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.bench.recipes import Shared, samples_in
from loop.bench_recipes_plan import prompts_for
from loop.composition import compose
from loop.config import Plan, RunConfig
from loop.errors import Refused
from loop.ledger import Ledger
from loop.prompts.tokenizer import load_tokenizer
from loop.recipe import sampler_of, sources_of
from loop.recipes import on_demo, recipe_files
from loop.task import store_of
from loop.validation import validate
from loop.view.plain import PlainView

RECIPES = [one.name for one in recipe_files()]
THERE = on_demo()

SHORT = (
    "rounds=2",
    "learner.batch_examples=100000",  # one step in each round
    "learner.epochs=1",
    "learner.schedule=constant",
    "learner.warmup=0",
    "evaluate.every=2",
    "evaluate.gate_share=0.95",
    "gate=off",
    "rollout.shard_prompts=32",
)
SAMPLES = 512
"""Of a whole run, about: enough for groups whose responses are told apart by every judge."""


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    """The processes that all recipes run in."""
    with Shared(PlainView(io.StringIO())) as shared:
        yield shared


def configured(recipe: str, folder: Path) -> RunConfig:
    """A recipe on the demo, as short as it can be."""
    config = compose(
        ["experiment=demo", f"algorithm={recipe}", *THERE[recipe].overrides, *SHORT, f"folder={folder}", "name=short"]
    )
    config.prompts.per_round = min(64, max(4, prompts_for(config, SAMPLES)))
    return validate(config)


def table(ledger: Ledger, name: str) -> list[dict[str, Any]]:
    """All rows of a table, by round."""
    return sorted(ledger.read(name).to_pylist(), key=lambda row: row.get("round", 0))


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name not in THERE])
def test_a_recipe_that_does_not_run_on_the_demo_says_why(recipe: str) -> None:
    with pytest.raises(Refused, match=f"algorithm={recipe}"):
        validate(compose(["experiment=demo", f"algorithm={recipe}"]))


@pytest.mark.engine
@pytest.mark.parametrize("recipe", [name for name, one in THERE.items() if not one.examples])
def test_a_recipe_that_finds_no_example_on_the_demo_leaves_the_policy_alone(
    recipe: str, shared: Shared, tmp_path: Path
) -> None:
    config = configured(recipe, tmp_path / recipe)
    shared.start(config)
    summary = shared.run(config)
    ledger, (strategy, options, _) = Ledger(store_of(tmp_path / recipe, None)), sampler_of(config.algorithm)
    slices = math.ceil(config.prompts.per_round / config.rollout.shard_prompts)
    for round in summary.rounds:
        assert not round.examples and any("nothing was learnt" in note for note in round.notes)
        assert len(ledger.committed("drafts", round.round)) == slices * (strategy.steps(options) - 1)
    assert len(table(ledger, "policies")) == 1
    drafts = {row["response_id"] for row in table(ledger, "drafts")}
    assert {one for row in table(ledger, "draft_judgements") for one in row["response_ids"]} == drafts
    assert drafts <= {row["response_id"] for row in table(ledger, "responses")}


@pytest.mark.engine
@pytest.mark.parametrize("recipe", [name for name, one in THERE.items() if one.examples])
def test_a_recipe_makes_two_steps_of_the_real_loop(recipe: str, shared: Shared, tmp_path: Path) -> None:
    config = configured(recipe, tmp_path / recipe)
    shared.start(config)
    summary = shared.run(config)
    assert summary.finished and len(summary.rounds) == 2
    for round in summary.rounds:
        assert round.examples > 0, round.notes
        assert round.steps == 1 and round.skipped_steps == 0, round.notes
        assert round.loss is not None and math.isfinite(round.loss) and round.grad_norm
        assert round.push_gap is not None and 0 < round.push_gap < config.push.tolerance
    require_complete(config, Ledger(store_of(tmp_path / recipe, None)))


def require_complete(config: RunConfig, ledger: Ledger) -> None:
    """Everything that a run of two rounds leaves is there and refers to what is there."""
    recipe, (strategy, options, _) = config.algorithm, sampler_of(config.algorithm)
    assert [row["round"] for row in table(ledger, "rounds")] == [0, 1, 2]

    policies = table(ledger, "policies")
    assert [row["round"] for row in policies] == [0, 1, 2]
    assert len({row["digest"] for row in policies}) == 3, "the weights moved in both rounds"
    assert all(row["manifest"] for row in policies[1:])

    responses = {row["response_id"]: row for row in table(ledger, "responses")}
    prompts = {row["prompt_id"] for row in table(ledger, "prompts")}
    assert len(responses) == len(table(ledger, "responses")) > 0
    assert {row["round"] for row in responses.values()} == {1, 2}
    assert {row["prompt_id"] for row in responses.values()} <= prompts

    given = {f"data:{source.column}" for source in sources_of(recipe) if source.column}
    assert given <= {row["policy"] for row in responses.values()}
    members = {source.purpose for source in sources_of(recipe)}
    assert members <= {row["purpose"] for row in responses.values()}
    if strategy.name == "samples":
        own = [row for row in responses.values() if row["purpose"] == "train"]
        assert len(own) == 2 * config.prompts.per_round * recipe.k and samples_in(ledger) >= len(own)

    drafts = table(ledger, "drafts")
    assert bool(drafts) == (strategy.steps(options) > 1 or any(source.policy for source in sources_of(recipe)))
    assert bool(table(ledger, "draft_judgements")) == (strategy.steps(options) > 1)

    judgements, verdicts = table(ledger, "judgements"), table(ledger, "verdicts")
    if recipe.plan.name is Plan.none:
        assert not judgements and not verdicts
    else:
        assert {one for row in judgements for one in row["response_ids"]} <= responses.keys()
        assert verdicts and {row["response_id"] for row in verdicts} <= responses.keys()

    examples = table(ledger, "examples")
    assert {row["round"] for row in examples} == {1, 2}
    for row in examples:
        named = [responses[one] for one in row["response_ids"]]
        assert {one["prompt_id"] for one in named} == {row["prompt_id"]} and all(one["tokens_T"] for one in named)

    require_judgements(config, ledger, responses)

    assert len(table(ledger, "evaluation_responses")) == len(table(ledger, "evaluation_judgements")) > 0


def require_judgements(config: RunConfig, ledger: Ledger, responses: dict[str, dict[str, Any]]) -> None:
    """Where the judge learns, its judgements are responses to its own questions, token by token, and in pairs that the
    learner knows the anchor's log-probs of."""
    written = {id: row for id, row in responses.items() if row["purpose"] == "judgement"}
    assert {row["round"] for row in written.values()} == ({1, 2} if config.algorithm.judge_pairs.rounds else set())
    tokenizer = load_tokenizer(config.model.path, config.model.revision)
    judgements = {row["judgement_id"]: row for row in table(ledger, "judgements")}
    for id, row in written.items():
        judged, text = judgements[id], tokenizer.decode(row["prompt_tokens_T"])
        assert row["parent"] == judged["response_ids"][0] and row["prompt_tokens_T"] == judged["asked_T"]
        assert all(responses[one]["text"] in text for one in judged["response_ids"])
        assert tokenizer.decode(row["tokens_T"], skip_special_tokens=True) == judged["raw"] == row["text"]
        assert row["tokens_T"][-1] == tokenizer.eos_token_id and not row["logprobs_T"]
    learnt = [row for row in table(ledger, "examples") if row["response_ids"][0] in written]
    known = {row["response_id"]: len(row["logprobs_T"]) for row in table(ledger, "anchors")}
    assert bool(learnt) == bool(written)
    for example in learnt:
        better, worse = (written[one] for one in example["response_ids"])
        assert better["prompt_tokens_T"] == worse["prompt_tokens_T"] and better["text"] != worse["text"]
        assert all(known[one["response_id"]] == len(one["tokens_T"]) for one in (better, worse))
