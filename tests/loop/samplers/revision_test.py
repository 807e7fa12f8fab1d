from __future__ import annotations

import random
from dataclasses import replace

from loop.losses.mixed import REVISIONS
from loop.pairing import RULES
from loop.pairing.found import Found
from loop.samplers.revision import REQUEST
from loop.samplers.strategy import Draw
from loop.verdict import Verdict
from tests.loop.pairing.cases import found
from tests.loop.samplers.driven import PROMPT, Driven

GIVEN = replace(PROMPT, chosen="good", rejected="bad")


def driven() -> Driven:
    """A whole group: what is given comes after what the strategy proposes."""
    one = Driven("revision", {}, lambda draw: "never", lambda r: None, k=0, prompt=GIVEN).run()
    given = (Draw(purpose="chosen", number=0, text="good"), Draw(purpose="rejected", number=0, text="bad"))
    one.rows += [one._answered(draw) for draw in given]
    return one


def pairs(one: Driven, truncated_may_win: bool = False) -> list[Found]:
    return found("revised", one.group, Verdict(), truncated_may_win)


def test_each_answer_is_given_as_a_revision_of_each() -> None:
    (draws,) = driven().draws
    assert [(draw.number, draw.text, (draw.turns or ())[1]["content"]) for draw in draws] == [
        (0, "good", "bad"),
        (1, "bad", "bad"),
        (2, "bad", "good"),
        (3, "good", "good"),
    ]
    for draw in draws:
        assert [turn["role"] for turn in draw.turns or ()] == ["user", "assistant", "user"]
        assert draw.turns and draw.turns[-1]["content"] == REQUEST
        assert draw.purpose == "revision" and not draw.answers_prompt


def test_the_given_pair_comes_with_the_four_revisions_in_the_roles_that_the_loss_reads() -> None:
    one = driven()
    (it,) = pairs(one)
    told = {role: one.rows[i] for role, i in zip(it.roles, it.members, strict=True)}
    assert (told["chosen"].purpose, told["rejected"].purpose) == ("chosen", "rejected")
    assert {*it.roles} == {"chosen", "rejected", *REVISIONS} and {*RULES["revised"].roles} == {*REVISIONS}
    draws = {draw.number: draw for draw in one.draws[0]}
    for role in REVISIONS:
        written, shown = ({"chosen": "good", "rejected": "bad"}[side] for side in role.split("_given_"))
        turns = draws[told[role].k].turns or ()
        assert (told[role].purpose, told[role].text, turns[1]["content"]) == ("revision", written, shown)
    assert (it.strength, it.margin) == (1.0, 0.0)


def test_the_order_of_a_groups_rows_changes_nothing() -> None:
    one, turned = driven(), driven()
    for seed in range(5):
        random.Random(seed).shuffle(turned.rows)
        (first,), (second,) = pairs(one), pairs(turned)
        assert [one.rows[i] for i in first.members] == [turned.rows[i] for i in second.members]


def test_without_both_answers_there_is_nothing_to_revise() -> None:
    for lacking in (replace(GIVEN, chosen=None), replace(GIVEN, rejected=None)):
        assert Driven("revision", {}, lambda draw: "", lambda r: None, prompt=lacking).run().rows == []


def test_a_group_that_lacks_one_of_the_six_or_holds_one_answer_twice_gives_no_pair() -> None:
    for lacking in range(6):
        one = driven()
        del one.rows[lacking]
        assert pairs(one) == []
    one = driven()
    one.rows[5] = replace(one.rows[5], tokens_T=one.rows[4].tokens_T)
    assert pairs(one) == []
    one = driven()
    one.rows[4] = replace(one.rows[4], finish_reason="length")
    assert pairs(one) == [] and len(pairs(one, truncated_may_win=True)) == 1
