from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loop.report.examples import EACH, LONGEST, Kind, read_examples
from loop.report.tables import tables
from tests.loop.factories import judgement, list_example, pair_example, response
from tests.loop.run_folders import PROMPT, Rows, begun


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    """Five prompts, each with answers a and b, of which b is the longer one."""
    rows = Rows(begun(tmp_path / "run"))
    rows.add("prompts", 0, [replace(PROMPT, prompt_id=f"p{at}") for at in range(5)])
    rows.add("responses", 1, [
        replace(response(k, text, prompt_id=f"p{at}", id=f"{text[0]}{at}"), finish_reason=finish)
        for at in range(5)
        for k, (text, finish) in enumerate([("a", "end"), ("b" * (10 + at), "length" if at == 2 else "end")])
    ])  # fmt: skip
    return rows


def kinds(rows: Rows, number: int = 1) -> dict[str, Kind]:
    with tables(rows.ledger) as read:
        return {one.title: one for one in read_examples(read, number)}


def test_margins_and_uncertainty_come_from_the_examples_one_of_each_prompt(rows: Rows) -> None:
    numbers = [(0.9, 1.0), (0.52, 0.1), (0.99, 3.0), (0.7, 2.0), (0.45, 0.3)]
    rows.add("examples", 1, [
        *(pair_example(f"e{at}", f"a{at}", f"b{at}", p, margin, prompt_id=f"p{at}")
          for at, (p, margin) in enumerate(numbers)),
        pair_example("e9", "b2", "a2", 0.99, 2.9, prompt_id="p2"),
    ])  # fmt: skip
    found = kinds(rows)
    assert [one.facts for one in found["Largest margin"].examples] == [
        "strength 0.990, margin 3.000",
        "strength 0.700, margin 2.000",
        "strength 0.900, margin 1.000",
    ]
    assert [one.facts.split(",")[0] for one in found["Most uncertain"].examples] == [
        "strength 0.520",
        "strength 0.450",
        "strength 0.700",
    ]
    first = found["Largest margin"].examples[0]
    assert first.prompt == "[system] Be brief.\n[user] 2 + 2?"
    assert [(one.role, one.text, one.facts) for one in first.answers] == [
        ("chosen", "a", "2 tokens"),
        ("rejected", "b" * 12, "13 tokens, cut at the limit"),
    ]


def test_a_flip_is_one_place_winning_both_times(rows: Rows) -> None:
    def said(at: int, value: float, turned: bool) -> object:
        ids = [f"a{at}", f"b{at}"]
        return replace(
            judgement(ids[::-1] if turned else ids, value), prompt_id=f"p{at}", judgement_id=f"j{at}{turned}"
        )

    rows.add("judgements", 1, [
        said(0, 0.9, False), said(0, 0.8, True),  # the first wins both times
        said(1, 0.9, False), said(1, 0.1, True),  # a wins both times
        said(2, 0.2, False), said(2, 0.4, True),  # the second wins both times
        said(3, 0.9, False), said(3, 0.5, True),  # a tie contradicts nothing
    ])  # fmt: skip
    flips = kinds(rows)["Changed with the order"]
    assert [one.facts for one in flips.examples] == [
        "first shown wins with 0.900; the order exchanged, first shown wins with 0.800",
        "first shown wins with 0.200; the order exchanged, first shown wins with 0.400",
    ]
    assert [one.shown for one in flips.examples[0].judgements] == ["answer A then answer B", "answer B then answer A"]


def test_failed_judgements_show_the_judges_own_words(rows: Rows) -> None:
    failed = replace(judgement(["a0", "b0"], None, "failed"), prompt_id="p0", judgement_id="j1", raw="I can't\x07 say")
    decided = replace(judgement(["a0", "b0"], 0.9), prompt_id="p0", judgement_id="j0", sample=1)
    elsewhere = replace(judgement(["a0", "c0"], 0.3), prompt_id="p0", judgement_id="j2")
    rows.add("judgements", 1, [decided, failed, elsewhere])
    (one,) = kinds(rows)["Failed judgements"].examples
    assert [(said.shown, said.outcome) for said in one.judgements] == [
        ("shown first then shown second", "failed"),
        ("shown first then shown second", "first shown wins with 0.900"),
        ("shown first then another answer", "first shown wins with 0.300"),
    ]
    assert one.judgements[0].raw == "I can't\\x07 say"


def test_cut_and_longest_answers(rows: Rows) -> None:
    found = kinds(rows)
    (cut,) = found["Cut at the token limit"].examples
    assert cut.answers[0].text == "b" * 12
    assert [one.answers[0].facts for one in found["Longest answers"].examples] == [
        "15 tokens",
        "14 tokens",
        "13 tokens, cut at the limit",
    ]


def test_kinds_that_a_round_lacks_are_left_out(rows: Rows) -> None:
    assert list(kinds(rows)) == ["Cut at the token limit", "Longest answers"]
    assert kinds(rows, 7) == {}


def test_lists_show_their_first_answers_and_long_texts_are_cut(rows: Rows) -> None:
    rows.add("responses", 2, [replace(response(0, "z" * 5000, prompt_id="p0", id="z"), round=2)])
    rows.add("examples", 2, [replace(list_example("e", ["z"], [1.0]), round=2, prompt_id="p0")])
    found = kinds(rows, 2)["Largest margin"]
    assert len(found.examples) <= EACH
    (answer,) = found.examples[0].answers
    assert answer.role == "item"
    assert answer.text == "z" * LONGEST + " … (3,800 more characters)"
