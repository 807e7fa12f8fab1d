"""The table of rules, examples, and which of them are kept."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from loop.errors import Refused
from loop.pairing import RULES, keep_largest, named_rule, pair
from loop.records import Example
from tests.loop.pairing.cases import samples, scored


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("best_wurst", {}, "no pairing rule named 'best_wurst'"),
        ("best_worst", {"link": "logit"}, "no option 'link'; it has none"),
        ("ranked", {"link": "cubic"}, "must be one of logit, linear"),
        ("ranked", {"min_strength": "high"}, "must be a number"),
        ("ranked", {"min_strength": True}, "must be a number"),
        ("length_banded", {"rho": 0.6}, "rho=0.6 must lie between 0 and 0.5"),
        ("rejection_sampling", {"beta": 0}, "must lie between 1e-09 and inf"),
        ("curriculum", {"stages": float("nan")}, "must lie between 1 and"),
        ("curriculum", {"stages": 2.9}, "stages=2.9 must be a whole number"),
        ("rejection_sampling", {"count": 7.5}, "count=7.5 must be a whole number"),
        ("random_right_wrong", {"count": 7.5}, "count=7.5 must be a whole number"),
        ("keep_correct", {"cap": 1.5}, "cap=1.5 must be a whole number"),
        ("halves_by_certainty", {"count": -1}, "count=-1 must lie between 0 and"),
        ("halves_by_certainty", {"count": 2.5}, "count=2.5 must be a whole number"),
    ],
)
def test_what_there_is_not_is_refused_with_one_sentence(name: str, options: dict[str, float | str], said: str) -> None:
    with pytest.raises(Refused, match=said):
        named_rule(name, options)


def test_options_are_completed_by_their_defaults() -> None:
    rule, options = named_rule("ranked", {"link": "linear"})
    assert rule is RULES["ranked"]
    assert options == {"link": "linear", "min_strength": 0.5, "length_penalty": 0.0}
    for rule in RULES.values():
        assert named_rule(rule.name, rule.options)[1] == rule.options, "defaults are within bounds"
        assert set(rule.choices) | set(rule.bounds) <= set(rule.options)


def test_every_rule_says_what_its_labels_are() -> None:
    named = {name: rule.labels for name, rule in RULES.items() if rule.labels}
    assert named == {
        "win_rate": "win_rate",
        "win_rate_of_scores": "win_rate",
        "win_rate_skew": "skew",
        "opponent_win_rate": "win_rate",
        "listed": "score",
        "listed_by_win_rate": "relevance",
        "labelled": "desirable",
        "keep_correct": "kept",
        "given_answer": "kept",
    }


@pytest.mark.parametrize("rule", ["ranked", "ranked_adjacent", "best_against_rest", "with_baseline"])
def test_a_rule_that_drops_ties_gives_them_when_weaker_pairs_may_stand(rule: str) -> None:
    assert not named_rule(rule)[0].ties and not named_rule(rule, {"min_strength": 0.6})[0].ties
    assert named_rule(rule, {"min_strength": 0.49})[0].ties


def examples(rule: str, *scores: float) -> list[Example]:
    """The examples of a rule without options."""
    return pair(*named_rule(rule), samples(len(scores)), scored(*scores), 3, False)


def test_examples_carry_ids_not_positions() -> None:
    (one,) = examples("best_worst", 0.0, 0.5, 1.0, 0.5)
    assert (one.by_role("chosen"), one.by_role("rejected")) == (["id2"], ["id0"])
    assert (one.round, one.prompt_id, one.margin, one.weight) == (3, "p", 1.0, 1.0)


def test_an_example_is_the_same_whatever_the_scores_that_led_to_it() -> None:
    assert examples("best_worst", 0.0, 1.0)[0].example_id == examples("best_worst", 0.0, 9.0)[0].example_id
    assert examples("best_worst", 0.0, 1.0)[0].example_id != examples("best_worst", 1.0, 0.0)[0].example_id


def test_the_share_with_the_largest_margins_is_kept_in_any_order() -> None:
    given = [replace(one, example_id=f"e{n}", margin=m) for n, m in enumerate((1, 3, 2, 2, 0)) for one in PAIR]
    assert [one.example_id for one in keep_largest(given, 0.4)] == ["e1", "e2"], "of equal margins the smaller id"
    assert [one.example_id for one in keep_largest(given, 0.7)] == ["e0", "e1", "e2", "e3"], "3.5 is four"
    assert (keep_largest(given, 0.0), keep_largest(given, 1.0), keep_largest([], 0.5)) == ([], given, [])
    for order in permutations(given):
        assert {one.example_id for one in keep_largest(order, 0.4)} == {"e1", "e2"}


PAIR = examples("best_worst", 0.0, 1.0)
