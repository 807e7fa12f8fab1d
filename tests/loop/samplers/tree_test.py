from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from loop.pairing.found import Found
from loop.records import Response
from loop.samplers.strategy import Draw
from loop.search_tree import WIDTH
from loop.verdict import Verdict
from tests.loop.pairing.cases import found
from tests.loop.samplers.driven import Driven, tokens

LINES = 3


def writes(draw: Draw) -> str:
    """Three lines: of the first one even draws write `a` and odd ones `b`, with a number that tells them apart."""
    line = f"{'ab'[draw.number % 2]}{draw.number}"
    return "\n".join([line, *(["c"] * (LINES - 1 - draw.prefix.count("\n")))])


def shares(one: Response) -> float | None:
    """The share of a's among the lines so far."""
    lines = one.text.split("\n")
    return sum(line.startswith("a") for line in lines) / len(lines)


def driven(**changed: object) -> Driven:
    of = {"name": "tree", "options": {"iterations": 12}, "writes": writes, "judges": shares}
    return Driven(**{**of, **changed})  # type: ignore[arg-type]


def texts(one: Driven, **options: object) -> list[tuple[str, str]]:
    return [(one.rows[i].text, one.rows[j].text) for i, j in (it.members for it in finds(one, **options))]


def finds(one: Driven, **options: object) -> list[Found]:
    return found("siblings", one.group, one.verdict, **{"iterations": 12, **options})  # type: ignore[arg-type]


def test_the_tree_finds_the_better_branch_and_each_step_on_it_gives_a_pair() -> None:
    one = driven().run()
    pairs = texts(one)
    assert pairs[0] == ("a0", "b1") and len(pairs) == LINES
    for chosen, rejected in pairs:
        assert chosen.rsplit("\n", 1)[0] == rejected.rsplit("\n", 1)[0] or "\n" not in chosen, "the same text before"
        assert chosen.split("\n")[-1][0] == "a" and rejected.split("\n")[-1][0] == "b"
    for it in finds(one):
        better, worse = (one.rows[i] for i in it.members)
        assert better.prompt_tokens_T == worse.prompt_tokens_T and it.strength > 0.5 and it.margin > 0


def test_a_good_end_is_found_behind_a_beginning_that_looks_worse() -> None:
    def judges(it: Response) -> float:
        return 1.0 if it.finish_reason == "end" and it.text.startswith("b") else 0.0

    def never(it: Response) -> float:
        return 0.0

    one = driven(judges=judges, options={"iterations": 20}).run()
    assert texts(one, iterations=20)[0] == ("b1", "a0")
    assert texts(driven(judges=never).run()) == [], "where the judge sees no difference there is no pair"


def test_a_node_continues_the_tokens_and_the_text_of_its_line() -> None:
    one = driven().run()
    by_id = {r.response_id: r for r in one.rows}
    for draw in (draw for step in one.draws[1:] for draw in step):
        before = by_id[draw.parent or ""]
        own = next(r for r in one.rows if r.k == draw.number)
        assert draw.prefix_T == (*before.prompt_tokens_T[3:], *before.tokens_T)
        assert list(draw.prefix_T) == tokens(draw.prefix) and draw.prefix == before.text + "\n"
        assert own.text.startswith(before.text) and own.prompt_tokens_T == [1, 2, 3, *draw.prefix_T]
    assert all((draw.parent, draw.prefix_T, draw.prefix) == (None, (), "") for draw in one.draws[0])


def test_a_step_is_a_line_or_as_many_tokens_and_the_last_one_is_written_to_its_end() -> None:
    one = driven(
        options={"iterations": 6, "depth": 2, "step_tokens": 5}, writes=lambda draw: f"{draw.number:0>40}"
    ).run()
    first, *others = [step for step in one.draws if step]
    assert {(draw.stop, draw.max_tokens) for draw in first} == {(("\n",), 5)}
    assert {(draw.stop, draw.max_tokens) for step in others for draw in step} == {((), None)}
    cut_off = {r.response_id: r for r in one.rows if r.finish_reason == "length"}
    assert len(cut_off) == 2 and others, "what a step's limit cut off goes on"
    assert all(draw.prefix == cut_off[draw.parent or ""].text for step in others for draw in step)


def test_a_complete_answer_is_visited_again_and_not_continued() -> None:
    one = driven(options={"iterations": 12, "depth": 8}, writes=lambda draw: "ab"[draw.number % 2]).run()
    assert [len(step) for step in one.draws] == [2, *[0] * 11]
    (it,) = finds(one, depth=8)
    assert texts(one) == [("a", "b")] and 0.5 < it.strength < 1 and it.margin == 1.0
    assert finds(one, iterations=1)[0].strength == 1.0, (
        "the rule counts the visits of as many steps as the sampler made"
    )


def test_twins_are_one_node() -> None:
    one = driven(options={"iterations": 4, "actions": 3}, writes=lambda draw: "aab"[draw.number % WIDTH] + "\nc").run()
    assert {draw.parent for step in one.draws for draw in step} <= {
        None,
        *(r.response_id for r in one.rows if r.k % WIDTH != 1),
    }
    assert texts(one, iterations=4)[0] == ("a", "b")
    alone = driven(options={"iterations": 4}, writes=lambda draw: "a\nc").run()
    assert texts(alone, iterations=4) == [], "an only child has nobody to be compared with"


def test_numbers_are_unique_and_tell_the_step() -> None:
    one = driven(options={"iterations": 9, "actions": WIDTH, "depth": 6}).run()
    numbers = [draw.number for step in one.draws for draw in step]
    assert len(set(numbers)) == len(numbers)
    assert all(draw.number // WIDTH == at for at, step in enumerate(one.draws) for draw in step)


BLIND: dict[str, Callable[[Response], bool]] = {
    "some": lambda r: r.k % 3 == 1,
    "first": lambda r: r.k < WIDTH,
    "all": lambda r: True,
}


@pytest.mark.parametrize("which", BLIND)
def test_nodes_that_nobody_could_score_are_searched_on_and_stand_in_no_pair(which: str) -> None:
    one = driven(judges=lambda r: None if BLIND[which](r) else shares(r)).run()
    assert sum(map(len, one.draws)) >= 10
    unscored = {i for i, r in enumerate(one.rows) if one.values[r.response_id] is None}
    assert not any(unscored & set(it.members) for it in finds(one))
    assert bool(finds(one)) == (which != "all")


def test_a_veto_loses_and_leaves_every_number_finite() -> None:
    one = driven(judges=lambda r: float("-inf") if "b" in r.text else shares(r)).run()
    for it in finds(one):
        assert "b" not in one.rows[it.members[0]].text and 0 < it.margin < 10
    assert finds(one)
    one = driven(judges=lambda r: float("-inf")).run()
    assert finds(one) == []


def test_a_vetoed_text_does_not_win_by_what_comes_after_it() -> None:
    one, verdict = nodes(float("-inf"), 0.0, 9.0, 8.0, parents=(None, 0))
    pairs = found("siblings", one.group, verdict, iterations=2)
    assert [it.members for it in pairs] == [(2, 3)], (
        "the vetoed one leads to the best answers, and its sibling is worst"
    )
    assert [d.parent for d in one.proposed(2)] == ["n2", "n2"], "what it leads to is searched on"


def test_the_search_turns_from_a_vetoed_text_first() -> None:
    one, _ = nodes(float("-inf"), 0.0)
    assert [draw.parent for draw in one.proposed(1)] == ["n1", "n1"]


def test_an_answer_that_was_cut_off_at_the_last_depth_is_not_continued() -> None:
    one = driven(options={"iterations": 5, "depth": 1}).run()
    one.rows = [replace(r, finish_reason="length") for r in one.rows]
    assert [len(step) for step in one.draws] == [2, 0, 0, 0, 0] and one.proposed(5) == []


def test_draws_that_came_to_nothing_do_no_harm() -> None:
    one = driven(lost=lambda draw: bool(draw.prefix)).run()
    assert [r.k for r in one.rows] == [0, 1] and texts(one) == [("a0", "b1")]
    assert driven(lost=lambda draw: True).run().rows == []


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("which", ["none", "some"])
def test_the_order_of_a_groups_rows_changes_nothing(seed: int, which: str) -> None:
    def judges(r: Response) -> float | None:
        return None if which == "some" and BLIND["some"](r) else shares(r)

    plain, shuffled = driven(judges=judges).run(), driven(judges=judges, shuffled=random.Random(seed)).run()
    assert shuffled.draws == plain.draws
    order = random.Random(seed).sample(range(len(plain.rows)), len(plain.rows))
    turned = driven(rows=[plain.rows[i] for i in order], values=plain.values)
    assert texts(turned) == texts(plain)
    assert [replace(it, members=()) for it in finds(turned)] == [replace(it, members=()) for it in finds(plain)]


@pytest.mark.parametrize("step", range(12))
def test_a_step_that_is_done_again_gives_the_same_draws(step: int) -> None:
    whole = driven().run()
    rows = whole.rows[: sum(len(draws) for draws in whole.draws[:step])]
    assert (
        driven(rows=rows, values={r.response_id: whole.values[r.response_id] for r in rows}).proposed(step)
        == whole.draws[step]
    )


def test_an_end_that_was_cut_off_does_not_win_and_a_step_that_was_may() -> None:
    long = driven(
        options={"iterations": 3, "depth": 2, "step_tokens": 5},
        writes=lambda draw: "ab"[draw.number % 2] * 40,
        judges=lambda r: r.text.count("a") / len(r.text),
    ).run()
    assert {r.finish_reason for r in long.rows[:2]} == {"length"}
    assert texts(long, depth=2)[0] == ("aaaaa", "bbbbb")
    long.rows = [replace(r, finish_reason="length") for r in long.rows]
    whole = [text for text in texts(long, depth=2, truncated_may_win=True) if len(text[0]) > 5]
    assert whole and not [text for text in texts(long, depth=2) if len(text[0]) > 5]


def nodes(*scores: float | None, parents: tuple[int | None, ...] = ()) -> tuple[Driven, Verdict]:
    """Two children for each step's parent, with these scores."""
    one = driven()
    for k, score in enumerate(scores):
        number = k // 2 * WIDTH + k % 2
        parent = None if not parents or parents[k // 2] is None else f"n{parents[k // 2]}"
        row = one._answered(Draw(purpose="node", number=number, text=f"{k}", parent=parent))
        one.rows.append(replace(row, response_id=f"n{k}", logprobs_T=[-1.0, -1.0], finish_reason="stop"))
        one.values[f"n{k}"] = score
    return one, one.verdict


@pytest.mark.parametrize(("visits", "strength"), [(1, 1.0), (2, 1.0), (8, 7 / 8)])
def test_strength_is_the_best_ones_share_of_the_visits(visits: int, strength: float) -> None:
    one, verdict = nodes(0.75, 0.25)
    (it,) = found("siblings", one.group, verdict, iterations=visits)
    assert it.members == (0, 1) and (it.strength, it.margin) == (strength, 0.5)


def test_a_label_is_left_open_and_not_turned_where_the_worse_one_was_visited_more() -> None:
    one, verdict = nodes(0.75, 0.5, -1.0, -1.0, parents=(None, 0))
    pairs = found("siblings", one.group, verdict, iterations=9)
    assert pairs[0].members == (1, 0) and pairs[0].strength >= 0.5
    one, verdict = nodes(0.5, 0.5, 0.5, 0.625, 0.625, 0.625, parents=(None, 0, 1))
    (first, *_) = found("siblings", one.group, verdict, iterations=3)
    assert first.members == (1, 0) and first.strength == 0.5, "two visits to the worse one, one to the better"
