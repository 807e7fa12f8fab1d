from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from loop.pairing.found import Found
from loop.records import Response
from loop.samplers.refinement import REQUEST
from loop.samplers.strategy import Draw
from loop.verdict import Verdict
from tests.loop.pairing.cases import found
from tests.loop.samplers.driven import Driven


def writes(draw: Draw) -> str:
    """Samples are numbers of faults, 2 for even ones and 0 for odd ones; the third refinement of a text mends one."""
    if draw.turns is None:
        return f"{draw.number}: {'x' * (2 - 2 * (draw.number % 2))}"
    answer = draw.turns[-2]["content"]
    return answer.replace("x", "", 1) + "'" if draw.number % 3 == 2 else f"{answer}x"


def judges(one: Response) -> float | None:
    """1 without a fault, and 0.1 less for each."""
    return 1.0 if "x" not in one.text else 0.5 - 0.1 * one.text.count("x")


def driven(**changed: object) -> Driven:
    of = {"name": "refinement", "options": {"depth": 4}, "writes": writes, "judges": judges}
    return Driven(**{**of, **changed})  # type: ignore[arg-type]


def pairs(one: Driven, **options: object) -> list[tuple[Response, Response]]:
    def sides(it: Found) -> tuple[Response, Response]:
        return one.rows[it.members[0]], one.rows[it.members[1]]

    return [sides(it) for it in found("refined", one.group, one.verdict, **options)]  # type: ignore[arg-type]


def nodes(one: Driven) -> list[list[Draw]]:
    return one.draws[1:]


def test_a_failing_answer_is_refined_until_one_passes_and_the_two_become_a_pair() -> None:
    one = driven().run()
    ((chosen, rejected),) = pairs(one)
    assert one.values[chosen.response_id] == 1.0 and rejected.text in ("0: xx", "2: xx")
    assert chosen.text.split(":")[0] == rejected.text.split(":")[0], "it is that answer, mended"
    assert [len(step) for step in nodes(one)] == [3, 6, 0, 0], "a group that is done proposes nothing"


def test_refinements_are_asked_for_in_a_conversation_and_answer_the_prompt() -> None:
    one = driven().run()
    for draw in nodes(one)[0]:
        user, assistant, asked = draw.turns or ()
        assert user == {"role": "user", "content": "Well?"} and asked == {"role": "user", "content": REQUEST}
        assert assistant == {
            "role": "assistant",
            "content": next(r.text for r in one.rows if r.response_id == draw.parent),
        }
        assert draw.answers_prompt and draw.text is None and draw.purpose == "node"


def test_a_plain_text_prompt_is_asked_again_in_one_text() -> None:
    plain = replace(driven().prompt, messages='[{"role": "text", "content": "Well? "}]')
    one = driven(prompt=plain, writes=lambda draw: "xx")
    one.step(0)
    one.step(1)
    assert [draw.turns for draw in nodes(one)[0]] == [({"role": "text", "content": f"Well? xx\n\n{REQUEST}\n\n"},)] * 3


def test_the_search_keeps_the_best_refinements_of_a_step_and_only_those() -> None:
    one = driven(options={"branch": 4, "keep": 2, "depth": 2}, judges=lambda r: (len(r.text) % 5) / 10)
    one = replace(one, writes=lambda draw: "x" * (draw.number + (7 if draw.turns else 1))).run()
    scores = {draw.number: (draw.number + 7) % 5 / 10 for draw in nodes(one)[0]}
    kept = sorted(scores, key=lambda number: -scores[number])[:2]
    by_id = {r.response_id: r for r in one.rows}
    assert {by_id[draw.parent].k for draw in nodes(one)[1] if draw.parent} == set(kept) and len(nodes(one)[1]) == 8


def test_of_a_group_without_a_failing_answer_nothing_is_refined() -> None:
    for score in (1.0, 0.5, None):
        one = driven(judges=lambda r, score=score: score).run()
        assert nodes(one) == [[]] * 4 and pairs(one) == [], "a tie and a hole are no failure"


def test_a_search_that_fails_gives_no_pair() -> None:
    one = driven(writes=lambda draw: "xx").run()
    assert [len(step) for step in nodes(one)] == [3, 6, 6, 6] and pairs(one) == []


def test_refinements_that_nobody_could_score_are_left_aside_and_end_the_search_when_there_are_no_others() -> None:
    blind = driven(judges=lambda r: None if r.purpose == "node" else judges(r)).run()
    assert [len(step) for step in nodes(blind)] == [3, 0, 0, 0] and pairs(blind) == []
    one = driven(judges=lambda r: None if r.purpose == "node" and r.k % 3 == 0 else judges(r)).run()
    assert [len(step) for step in nodes(one)] == [3, 6, 0, 0] and len(pairs(one)) == 1
    unscored = {r.response_id for r in one.rows if one.values[r.response_id] is None}
    assert not any(draw.parent in unscored for step in nodes(one) for draw in step)


def test_a_vetoed_answer_fails_and_its_pair_has_a_finite_margin() -> None:
    one = driven(judges=lambda r: float("-inf") if r.purpose == "train" else judges(r)).run()
    (it,) = found("refined", one.group, one.verdict)
    assert 0 < it.margin < 10 and it.strength == 1.0


def test_numbers_are_unique_even_where_draws_came_to_nothing() -> None:
    one = driven(lost=lambda draw: draw.turns is not None and draw.number in (1, 4)).run()
    numbers = [(draw.purpose, draw.number) for step in one.draws for draw in step]
    assert len(set(numbers)) == len(numbers) and len(pairs(one)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_a_groups_rows_changes_nothing(seed: int) -> None:
    plain, shuffled = driven().run(), driven(shuffled=random.Random(seed)).run()
    assert shuffled.draws == plain.draws
    order = random.Random(seed).sample(range(len(plain.rows)), len(plain.rows))
    turned = driven(rows=[plain.rows[i] for i in order], values=plain.values)
    assert pairs(turned) == pairs(plain)


def test_which_failing_answer_is_refined_follows_from_ids_and_differs_between_groups() -> None:
    def refined(salt: str) -> int:
        one = driven(writes=lambda draw: "x")
        one.step(0)
        one.rows = [replace(r, response_id=f"{salt}{r.k}") for r in one.rows]
        one.values = {r.response_id: 0.0 for r in one.rows}
        (parent,) = {draw.parent for draw in one.proposed(1)}
        return next(r.k for r in one.rows if r.response_id == parent)

    picked = [refined(f"group {n}, ") for n in range(40)]
    assert set(picked) == {0, 1, 2, 3} and picked == [refined(f"group {n}, ") for n in range(40)]


@pytest.mark.parametrize("step", range(5))
def test_a_step_that_is_done_again_gives_the_same_draws(step: int) -> None:
    whole = driven().run()
    made = sum(len(draws) for draws in whole.draws[:step])
    again = driven(
        rows=whole.rows[:made], values={r.response_id: whole.values[r.response_id] for r in whole.rows[:made]}
    )
    assert again.proposed(step) == whole.draws[step]


def pair_of_scores(one: Driven, scores: Sequence[float | None], **options: object) -> list[tuple[int, int]]:
    finds = found("refined", one.group, Verdict(scores_K=tuple(scores)), **options)  # type: ignore[arg-type]
    return [(it.members[0], it.members[1]) for it in finds]


def test_the_pair_is_the_best_refinement_that_may_win_and_a_sample_that_still_fails() -> None:
    one = driven(
        options={"depth": 1}, k=1, judges=lambda r: 0.0, writes=lambda draw: f"x{draw.turns and draw.number}"
    ).run()
    assert [r.purpose for r in one.rows] == ["train", "node", "node", "node"]
    assert pair_of_scores(one, (0.2, 0.6, 0.9, 0.4)) == [(2, 0)]
    assert pair_of_scores(one, (0.2, 0.6, None, 0.4)) == [(1, 0)]
    assert pair_of_scores(one, (0.2, 0.5, 0.5, 0.4)) == [], "one half does not pass"
    assert pair_of_scores(one, (0.5, 0.6, 0.9, 0.4)) == [] == pair_of_scores(one, (None, 0.6, 0.9, 0.4))
    assert pair_of_scores(one, (2.0, 4.0, 1.0, 1.0), pass_score=3.0) == [(1, 0)]
    one.rows[2] = replace(one.rows[2], finish_reason="length")
    assert pair_of_scores(one, (0.2, 0.6, 0.9, 0.4)) == [(1, 0)]
    assert pair_of_scores(one, (0.2, 0.6, 0.9, 0.4), truncated_may_win=True) == [(2, 0)]
    one.rows[1] = replace(one.rows[1], tokens_T=one.rows[0].tokens_T)
    assert pair_of_scores(one, (0.2, 0.6, 0.4, 0.4)) == [], "the same answer on both sides"
    (it,) = found("refined", one.group, Verdict(scores_K=(0.25, 0.0, 0.0, 1.0)))
    assert (it.strength, it.margin, it.roles) == (1.0, 0.75, ("chosen", "rejected"))
