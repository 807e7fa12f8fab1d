"""What a probe is made of and comes to, on numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loop.diagnostics.choosing import choose
from loop.diagnostics.probe import ProbePair, Sums, chosen_by_id, of_answers, of_pairs, of_samples, third_of
from loop.fleets import Lesson
from loop.records import Example, Response
from loop.shards import write_shard
from tests.loop.factories import pair_example, response

READ = {
    "w1": Sums(4, -6.0, before=-8.0, reference=-10.0, kl={"previous": 0.4}),
    "l1": Sums(6, -9.0, before=-6.0, reference=-7.0, kl={"previous": 1.2, "initial": 0.6}),
    "t1": Sums(5, -4.0, before=-5.0, kl={"previous": 0.4}),
    "w2": Sums(2, -9.0, before=-7.0, reference=-12.0),
    "l2": Sums(8, -8.0, before=-8.0, reference=-3.0),
}
PAIRS = [ProbePair("w1", "l1", "t1", 0.75), ProbePair("w2", "l2", None, 0.75)]


def test_changes_are_per_token_and_the_margin_per_pair() -> None:
    told = of_pairs(PAIRS, READ, None)
    assert told["chosen_change"] == pytest.approx((2 - 2) / 6)
    assert told["rejected_change"] == pytest.approx((-3 + 0) / 14)
    assert told["third_change"] == pytest.approx(1 / 5)
    assert told["margin"] == pytest.approx(((2 + 3) + (-2 - 0)) / 2)


def test_accuracies_of_ranking_and_of_the_loss() -> None:
    """By sums w1 wins (-6 > -9) and w2 loses; per token -1.5 ties with -1.5, and -4.5 loses. Ratios to the reference: 4
    against -2, 3 against -5. The ideal at beta .1 is -3 + 10.99 and -9 + 10.99, at beta 1 it is -3 + 1.1 and -9 + 1.1.
    """
    told = of_pairs(PAIRS, READ, 0.1)
    assert (told["ranking_accuracy"], told["ranking_accuracy_mean"], told["implicit_accuracy"]) == (0.5, 0.5, 1.0)
    assert told["ideal_ranking_accuracy"] == 1.0
    assert of_pairs(PAIRS, READ, 1.0)["ideal_ranking_accuracy"] == 0.0
    certain = [replace(one, strength=1.0) for one in PAIRS]
    assert "ideal_ranking_accuracy" not in of_pairs(certain, READ, 1.0), "hard labels leave nothing to weigh"


def test_divergences_are_means_over_the_tokens_of_those_that_are_known() -> None:
    told = of_pairs(PAIRS, READ, None)
    assert told["kl_previous"] == pytest.approx(1.6 / 10), "of the third response nothing is asked"
    assert told["kl_initial"] == pytest.approx(0.6 / 6)
    assert of_samples([READ["t1"], READ["w2"], READ["w1"]]) == {"kl_previous": pytest.approx(0.8 / 9)}


def test_what_is_not_known_is_left_out() -> None:
    bare = {one: Sums(3, -3.0) for one in ("w1", "l1")}
    assert set(of_pairs(PAIRS, bare, 0.1)) == {"ranking_accuracy", "ranking_accuracy_mean"}
    assert of_pairs([], {}, 0.1) == {} == of_answers([])


def test_the_policys_own_answers() -> None:
    told = of_answers([Sums(4, -2.0, entropy=2.0, mass=3.6, gap=0.04), Sums(1, -2.0, entropy=1.0, mass=0.9)])
    assert told == pytest.approx({"top_entropy": 0.6, "top_mass": 0.9, "sampler_gap": 0.01})


def test_chance_follows_from_ids() -> None:
    ids = [f"id{at}" for at in range(50)]
    assert chosen_by_id(ids, 5) == chosen_by_id(reversed(ids), 5)
    assert sorted(chosen_by_id(ids, 99)) == sorted(ids) and chosen_by_id(ids, 50) != ids
    texts = {"a": "x", "b": "y", "c": "x", "d": "z"}
    assert third_of(texts, "a", "b") == "d", "c says what the chosen one says"
    assert third_of(texts, "a", "d") == "b" and third_of({"a": "x"}, "a", "a") is None


def test_a_probe_is_chosen_from_the_rounds_own_shards(tmp_path: Path) -> None:
    root = str(tmp_path)

    def rows(round: int) -> list[Response]:
        texts = [("p", "x"), ("p", "y"), ("p", "z"), ("q", "x"), ("q", "y")]
        made = [response(k, text, prompt_id=p, id=f"{round}{p}{k}") for k, (p, text) in enumerate(texts)]
        return [replace(one, round=round) for one in made]

    def examples(round: int) -> list[Example]:
        pairs = [("p", 0, 1), ("q", 3, 4)]
        return [
            pair_example(f"{round}{p}", f"{round}{p}{w}", f"{round}{p}{rest}", round=round, prompt_id=p)
            for p, w, rest in pairs
        ]

    foreign = [
        replace(rows(2)[2], response_id=f"foreign{at}", policy="data:chosen", text=f"other {at}") for at in range(20)
    ]
    shards = {1: rows(1), 2: [*rows(2), *foreign]}
    lesson = Lesson(
        2,
        [write_shard(root, "examples", round, 0, examples(round), Example) for round in (1, 2)],
        [write_shard(root, "responses", round, 0, some, Response) for round, some in shards.items()],
    )
    answers = [replace(one, purpose="evaluate", response_id=f"a{at}") for at, one in enumerate(rows(2))]
    evaluated = [write_shard(root, "evaluation_responses", 2, 0, answers, Response)]
    chosen = choose(lesson, evaluated, 2)
    assert {(one.chosen, one.rejected, one.third) for one in chosen.pairs} == {
        ("2p0", "2p1", "2p2"),
        ("2q3", "2q4", None),
    }
    named = {"2p0", "2p1", "2p2", "2q3", "2q4"}
    assert {one.response_id for one in chosen.responses} == named and set(chosen.samples) < named
    assert len(chosen.samples) == 2
    assert len(chosen.answers) == 4 and choose(lesson, evaluated, 2) == chosen
    assert len(choose(lesson, evaluated, 1).pairs) == 1
    assert choose(Lesson(0, [], []), [], 3).pairs == ()


def test_only_as_many_shards_are_read_as_there_must_be(tmp_path: Path) -> None:
    root = str(tmp_path)
    examples = [
        write_shard(root, "examples", 1, at, [pair_example(f"{at}", f"w{at}", f"l{at}")], Example) for at in range(3)
    ]
    responses = [
        write_shard(root, "responses", 1, at, [response(0, id=f"w{at}"), response(1, id=f"l{at}")], Response)
        for at in range(3)
    ]
    Path(examples[2].path).unlink()
    Path(responses[2].path).unlink()
    chosen = choose(Lesson(1, examples[::-1], responses), [], 2)
    assert {one.chosen for one in chosen.pairs} == {"w0", "w1"}
    assert len(chosen.responses) == 4
