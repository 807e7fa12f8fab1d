"""What a run says of itself before it starts."""

from __future__ import annotations

from types import SimpleNamespace

from loop.composition import compose
from loop.describe import banner


def told(*overrides: str) -> dict[str, str]:
    counts = SimpleNamespace(sentence=lambda: "4 prompts", test=3)
    task = SimpleNamespace(
        config=compose(["experiment=demo", *overrides]),
        folder=SimpleNamespace(name="run"),
        pool=SimpleNamespace(counts=counts),
        store="",
    )
    return dict(banner(task))  # type: ignore[arg-type]


def test_the_recipe_is_told_by_its_components_and_the_options_that_it_sets() -> None:
    lines = told()
    assert lines["algorithm"] == "iterative_dpo_nll: 8 answers, best_worst, loss dpo (nll 1.0)"
    assert lines["anchors"] == "previous" and not {"data", "groups"} & {*lines}


def test_what_makes_a_group_is_told_where_it_is_more_than_samples() -> None:
    assert told("algorithm=nash_md")["groups"] == "a sample of the policy mixture as opponent"
    others = "algorithm.others=[{policy: random_past, as: explored, k: 2}, {column: teacher, as: teacher}]"
    assert told("algorithm.sampler.temperature=0.7", others)["groups"] == (
        "sampled by samples (temperature 0.7); 2 samples of the policy random past as explored; "
        "the prompts' teacher as teacher"
    )
    assert told("algorithm.look_ahead=true")["groups"] == (
        "every other round looks ahead, and the next one begins where it began"
    )


def test_what_is_learnt_besides_a_rounds_own_examples_is_told() -> None:
    lines = told(
        "algorithm.anchors=[{name: magnet, reset_every: 2}]",
        "algorithm.data={name: replay, first: 0.5}",
        "algorithm.keep=0.7",
        "algorithm.start_from=initial",
    )
    assert lines["anchors"] == "magnet (reset_every 2)"
    assert lines["data"] == (
        "examples of earlier rounds too: replay (first 0.5); "
        "70% of a round's examples, those with the largest margins; every round learns from the initial policy"
    )
    assert told("algorithm.anchors=[]")["anchors"] == "none"


def test_judges_are_told_with_what_they_stand_on_and_from_which_round() -> None:
    assert told()["judge"] == "verifier (exact)"
    later = ["+judge@later_judges.next=self", "later_judges.next.from_round=3"]
    assert told("judge=math", *later)["judge"] == ("math (math); from round 3 on self (current, read by probabilities)")
    members = ["judge.members.reward.model=M"]
    assert told("judge=mixture", *members)["judge"] == "mixture (right: verifier (exact), reward: reward_model (M))"


def test_a_control_run_says_so_and_others_say_nothing_of_it() -> None:
    assert "control" not in told()
    assert told("algorithm.control=shuffled")["control"].startswith("shuffled: every group is given another")
