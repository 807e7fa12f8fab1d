"""The plan of `ratchet bench recipes`, and what it prints and draws."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from loop.bench_recipes_plan import BUDGET, chosen, points, prompts_for, samples_of_prompt, seeds_of
from loop.bench_recipes_plot import draw
from loop.bench_recipes_report import Outcome, Report, as_figures, completed, failed, gold, planned, rows_of
from loop.bench_recipes_table import lines_of, progress
from loop.composition import compose
from loop.errors import InfrastructureFailed, Refused, Stopped
from loop.summary import RoundSummary, RunSummary, wilson

PLAN = Outcome("dpo", 0, "verifier", 3, 256)


def outcome(recipe: str, seed: int, after: float, before: float = 0.45) -> Outcome:
    return replace(
        PLAN, recipe=recipe, seed=seed, before=before, after=after, answers=512, samples=6144, ties=0.25, seconds=20.0
    )


REFUSED = failed(replace(PLAN, recipe="odd"), Refused("algorithm=odd: the learners cannot"))
REPORT = Report(
    budget=6144,
    outcomes=[
        outcome("good", 0, 0.8),
        outcome("same", 0, 0.46),
        outcome("bad", 0, 0.2),
        failed(replace(PLAN, recipe="half"), Stopped("too much noise")),
        REFUSED,
        outcome("good", 1, 0.9),
        outcome("same", 1, 0.48),
        outcome("bad", 1, 0.1),
        outcome("half", 1, 0.7),
        replace(REFUSED, seed=1),
    ],
    machine={"cores": 2},
)


def test_seeds_vary_slowest_so_that_recipes_are_interleaved() -> None:
    assert points(["a", "b"], [0, 1]) == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


def test_core_recipes_are_run_unless_others_are_named() -> None:
    assert chosen(None, ["b", "a"], ["a", "b", "c"]) == ["b", "a"]
    assert chosen("c, a", ["b"], ["a", "b", "c"]) == ["c", "a"]


@pytest.mark.parametrize(
    ("names", "said"),
    [("iterativ_dpo", "did you mean iterative_dpo"), ("osp,osp", "names osp twice"), (" ,", "names nothing")],
)
def test_a_list_of_recipes_that_makes_no_sense_is_refused(names: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        chosen(names, [], ["osp", "iterative_dpo"])


def test_seeds_are_whole_numbers() -> None:
    assert seeds_of("0, 12") == [0, 12]
    for wrong in ("a", "-1", "0.5", "²", ""):
        with pytest.raises(Refused, match="--seeds"):
            seeds_of(wrong)


DEMO = ["experiment=demo", "algorithm=iterative_dpo"]


@pytest.mark.parametrize(
    ("overrides", "prompts"),
    [
        (["algorithm.k=8"], 256),
        (["algorithm.k=2", "rounds=1"], 3072),
        (["algorithm.k=5"], 410),  # 409.6
        (["algorithm.k=4", "algorithm.others=[{policy: initial, as: opponent, k: 2}]"], 341),
        (["algorithm.k=4", "algorithm.others=[{column: completion, as: chosen}]"], 512),
        # 2 + 1 in the first round, where a mixture is the policy itself; 2 + 8 in the others
        (["algorithm.k=2", "algorithm.others=[{policy: mixture, as: opponent, k: 1, draws: 8}]"], 267),
    ],
)
def test_the_number_of_prompts_brings_a_run_near_the_budget(overrides: list[str], prompts: int) -> None:
    assert prompts_for(compose([*DEMO, *overrides]), BUDGET) == prompts


@pytest.mark.parametrize(
    ("recipe", "samples"),
    [
        ("spar", 3 * (5 + 3 + 2 * 3 + 2 * 3)),  # samples, and a search of depth 3 that keeps two of three
        (
            "mcts_dpo",
            3 * 3 * 2,
        ),  # two continuations, three deep: where nothing is right the search stays with one answer
        ("srpo", 0),  # revisions that are given
        ("sft", 0),
    ],
)
def test_searches_are_counted_step_by_step_and_given_text_never(recipe: str, samples: int) -> None:
    config = compose(["experiment=demo", f"algorithm={recipe}", "prompts.per_round=7"])
    assert samples_of_prompt(config.algorithm, 3) == samples
    assert (prompts_for(config, 10 * samples) if samples else prompts_for(config, BUDGET)) == (10 if samples else 7)


def test_a_run_has_at_least_one_prompt() -> None:
    config = compose([*DEMO, "algorithm.k=8"])
    assert samples_of_prompt(config.algorithm, 3) == 24
    assert prompts_for(config, 2) == 1


def summary(*rounds: RoundSummary) -> RunSummary:
    initial = RoundSummary(0, "r0-s0", gold_score=0.4)
    return RunSummary(
        "run", "id", "demo", "dpo", "verifier", "tiny", 0, True, initial, list(rounds), 9.0, prompts={"test": 512}
    )


def test_an_outcome_sums_over_rounds_and_ends_with_the_last() -> None:
    first = RoundSummary(
        1,
        "r1-s2",
        gold_score=0.5,
        prompts=10,
        responses=80,
        sampled=80,
        ties=4,
        truncated=8,
        examples=6,
        steps=2,
        kl=1.0,
    )
    last = RoundSummary(
        2,
        "r2-s5",
        gold_score=0.7,
        prompts=10,
        responses=80,
        sampled=80,
        ties=1,
        examples=9,
        steps=3,
        kl=3.0,
        response_tokens_mean=7.5,
    )
    found = completed(PLAN, summary(first, last), samples=160)
    assert (found.before, found.after, found.answers, found.seconds) == (0.4, 0.7, 512, 9.0)
    assert (found.ties, found.truncated, found.kl, found.length) == (0.25, 0.05, 3.0, 7.5)
    assert (found.examples, found.steps, found.samples, found.sentence) == (15, 5, 160, None)


def test_what_was_never_sampled_has_no_shares() -> None:
    found = completed(PLAN, summary(RoundSummary(1, "r0-s0")), samples=0)
    assert (found.ties, found.truncated, found.kl) == (None, None, None)


def test_a_plan_tells_what_will_be_run() -> None:
    plan = planned(compose([*DEMO, "seed=7", "prompts.per_round=99", "rounds=2"]))
    assert plan == Outcome("iterative_dpo", 7, "verifier", 2, 99)


def test_an_interval_counts_prompts_once_however_many_seeds_there_are() -> None:
    found = gold([(0.25, 100), (0.75, 100), (None, 0)])
    assert found is not None
    assert (found.mean, found.least, found.most) == (0.5, 0.25, 0.75)
    assert (found.low, found.high) == wilson(50, 100)
    assert gold([(None, 0)]) is None


def test_rows_average_over_the_seeds_that_came_to_their_end() -> None:
    good, same, bad, half, odd = rows_of(REPORT)
    assert [row.recipe for row in (good, same, bad, half, odd)] == ["good", "same", "bad", "half", "odd"]
    assert good.after is not None and good.after.mean == pytest.approx(0.85)
    assert (good.samples, good.ties, good.seconds, good.complete) == (6144, 0.25, 20.0, 2)
    assert [row.change for row in (good, same, bad, half, odd)] == ["better", "unclear", "worse", "better", ""]
    assert half.failures == ("seed 0 stopped: too much noise",) and half.complete == 1
    assert odd.failures == ("refused: algorithm=odd: the learners cannot",), "said once where all seeds share it"


def test_the_status_is_that_of_the_first_run_that_did_not_end_well() -> None:
    assert REPORT.status == 3
    assert replace(REPORT, outcomes=REPORT.outcomes[:3]).status == 0
    assert failed(PLAN, InfrastructureFailed("gone")).status == 4


def test_the_table_shows_every_recipe_and_names_those_that_did_not_improve() -> None:
    lines = lines_of(REPORT, 200)
    assert lines[0].split()[:5] == ["recipe", "judge", "samples", "before", "after"]
    starts = [line.split()[0] for line in lines[1:8]]
    assert starts == ["good", "same", "bad", "half", "seed", "odd", "refused:"]
    low, high = wilson(round(0.85 * 512), 512)
    assert "  6,144   45.0%  85.0%" in lines[1]
    assert f"{100 * low:.1f} to {100 * high:.1f}   80.0 to 90.0  25.0%" in lines[1]
    assert lines[5] == "  seed 0 stopped: too much noise" and lines[7].endswith("the learners cannot")
    told = "\n".join(lines[8:])
    assert "No improvement beyond chance" in told and "overlap): same." in told
    assert "Worse than the initial policy: bad." in told
    assert "end: half, odd." in told and "2 of 5 recipes improved" in told


def test_columns_are_aligned_and_sentences_wrapped() -> None:
    lines = lines_of(REPORT, 100)
    ends = {line.index("%") for line in lines[1:4]}
    assert len(ends) == 1
    assert max(len(line) for line in lines[8:]) <= 100


def test_a_single_seed_has_no_range() -> None:
    (_, row, *_) = lines_of(Report(6144, [outcome("good", 0, 0.8)], {}), 200)
    assert "   -  25.0%" in row
    assert "Every recipe improved" in "".join(lines_of(Report(6144, [outcome("good", 0, 0.8)], {}), 200))


def test_progress_is_one_line_whatever_a_sentence_holds() -> None:
    assert progress(outcome("good", 1, 0.8)) == "seed 1  good  45.0% -> 80.0%  20 s"
    assert progress(failed(PLAN, Stopped("a\nb"))) == "seed 0  dpo  stopped: a\\nb"


def test_figures_are_json_and_hold_every_run() -> None:
    figures = json.loads(json.dumps(as_figures(REPORT)))
    assert [(run["recipe"], run["seed"]) for run in figures["runs"]][:2] == [("good", 0), ("same", 0)]
    assert figures["runs"][4]["sentence"] == "algorithm=odd: the learners cannot" and figures["runs"][4]["status"] == 2
    assert figures["recipes"][0]["after"]["mean"] == pytest.approx(0.85)
    assert figures["before"]["mean"] == pytest.approx(0.45) and figures["budget"] == 6144


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_figure_is_drawn(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"recipes{suffix}"
    draw(REPORT, file)
    assert file.read_bytes().startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")


def test_the_figure_names_the_recipes_that_were_measured_and_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw(REPORT, tmp_path / name)
    drawn = (tmp_path / "a.svg").read_text()
    assert drawn == (tmp_path / "b.svg").read_text()
    assert "<!-- good -->" in drawn and "<!-- odd -->" not in drawn
    draw(Report(6144, [REFUSED], {}), tmp_path / "empty.svg")
