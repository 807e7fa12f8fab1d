from __future__ import annotations

import json
import math

import pytest

from loop.judges.judge import Reply
from loop.judges.reading import expected_score, parse_choice, parse_score, preference

SCALE = range(6)
LABELS = ("A", "B", "tie")
FAILED = ("failed", None)


def said(reply: Reply) -> tuple[str, float | None]:
    return reply.status, reply.value


def scored(text: str, marker: str = "Score:") -> tuple[str, float | None]:
    return said(parse_score(text, SCALE, marker))


def chosen(text: str, marker: str = "Verdict:") -> tuple[str, float | None]:
    return said(parse_choice(text, LABELS, marker))


def logs(**probabilities: float) -> dict[str, float]:
    return {token: math.log(p) if p else -math.inf for token, p in probabilities.items()}


# probabilities


def test_a_preference_is_the_first_label_s_share_of_the_mass() -> None:
    # OSP: probabilities 0.72 and 0.08 give q = 0.9
    reply = preference(logs(A=0.72, B=0.08), ("A", "B"), 0.5)
    assert reply.status == "decided"
    assert reply.value == pytest.approx(0.9)
    assert json.loads(reply.raw) == {"mass": 0.8, "probabilities": {"A": 0.72, "B": 0.08}}


def test_a_model_that_gives_no_verdict_has_failed() -> None:
    assert said(preference(logs(A=0.125, B=0.125, The=0.75), ("A", "B"), 0.5)) == FAILED
    assert said(preference(logs(A=0.3, B=0.3), ("A", "B"), 0.5)) == ("undecided", 0.5)
    assert said(preference({"A": -1000.0, "B": -0.1}, ("A", "B"), 0.5)) == ("decided", 0.0)
    for nothing in ({}, {"The": 0.0}, {"A": -math.inf, "B": -math.inf}):
        assert said(preference(nothing, ("A", "B"), 0.0)) == FAILED
        assert said(expected_score(nothing, SCALE, 0.0)) == FAILED


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 1000.0, 0.5])
def test_what_is_no_log_probability_has_failed(wrong: float) -> None:
    assert said(preference({"A": wrong, "B": -0.1}, ("A", "B"), 0.1)) == FAILED
    assert said(expected_score({"5": -0.1, "x": wrong}, SCALE, 0.1)) == FAILED


def test_a_rounding_error_above_certainty_is_no_failure() -> None:
    assert said(expected_score({"5": 1e-3}, SCALE, 0.5)) == ("decided", 5.0)


def test_a_tie_s_mass_goes_to_both_sides_in_halves() -> None:
    assert preference(logs(A=0.6, B=0.2, tie=0.2), LABELS, 0.5).value == pytest.approx(0.7)
    assert preference(logs(A=0.3, B=0.06, tie=0.24), LABELS, 0.5).value == pytest.approx(0.7)
    assert said(preference(logs(A=0.3, B=0.2, tie=0.5), LABELS, 0.5)) == ("undecided", 0.5)
    assert said(preference(logs(A=0.4, B=0.4, tie=0.2), LABELS, 0.5)) == ("undecided", 0.5)
    assert said(preference(logs(A=0.4, B=0.2, tie=0.4), LABELS, 0.5)) == ("undecided", 0.5)
    assert said(preference(logs(A=0.1, B=0.1, tie=0.25), LABELS, 0.5)) == FAILED


def test_a_tie_s_mass_counts_only_where_the_template_has_the_label() -> None:
    assert preference(logs(A=0.45, B=0.15, tie=0.4), ("A", "B"), 0.5).value == pytest.approx(0.75)


def test_tokens_that_differ_in_white_space_are_one() -> None:
    tokens = {" A": math.log(0.2), "A": math.log(0.4), "\nB": math.log(0.3), "a": math.log(0.05), "AB": math.log(0.05)}
    assert preference(tokens, ("A", "B"), 0.85).value == pytest.approx(2 / 3)
    assert expected_score({" 5": math.log(0.3), "5": math.log(0.3), "2": math.log(0.3)}, SCALE, 0.85).value == (
        pytest.approx(4.0)
    )


def test_the_expected_score_is_taken_over_the_mass_of_the_scores() -> None:
    reply = expected_score(logs(**{"1": 0.1, "4": 0.3, "5": 0.4, "the": 0.2}), range(1, 6), 0.5)
    assert reply.status == "decided"
    assert reply.value == pytest.approx((0.1 + 1.2 + 2.0) / 0.8)
    raw = json.loads(reply.raw)
    assert raw == {"mass": 0.8, "probabilities": {"1": 0.1, "2": 0.0, "3": 0.0, "4": 0.3, "5": 0.4}}
    assert said(expected_score(logs(**{"4": 0.4, "45": 0.6}), range(1, 6), 0.5)) == FAILED
    assert said(expected_score(logs(**{"3": 0.0, "4": 0.7}), range(1, 6), 0.5)) == ("decided", 4.0)


# text


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Score: 4", 4.0),
        ("It is fine.\n\nscore: 4\n", 4.0),
        ("**Score:** 4", 4.0),
        ("**Score**: **4/5**", 4.0),
        ("Score: 4/5. It lacks a proof.", 4.0),
        ("Score: 4 out of 5", 4.0),
        ("Score: 4 (of 5)", 4.0),
        ("Score: [[0]]", 0.0),
        ('{"reason": "short", "score": 4}', 4.0),
        ("Score: 3.5", 3.5),
        ("Score: 4 - well done", 4.0),
        ("Score: 4, as it is right", 4.0),
        ("Score: 4\nThat is 4/5.\nScore: 4.0", 4.0),
        ("The score depends on 3 things.\nScore: let me see\nScore: 2", 2.0),
        ("4", 4.0),
        (" **4/5**\n", 4.0),
    ],
)
def test_a_score_is_read_where_it_is_written(text: str, score: float) -> None:
    assert parse_score(text, SCALE, "Score:") == Reply(text, "decided", score)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Score:",
        "Score: good",
        "Score: 45",
        "Score: 6",
        "Score: -1",
        "Score: \u22124",
        "Score: 04",
        "Score: 4.5.6",
        "Score: 4e1",
        "Score: 4\u00e9",
        "Score: 4\u200b5",
        "Score: \u0664",
        "Score: 4/10",
        "Score: 4 / 10",
        "Score: 4/5/5",
        "Score: 4 of 50",
        "Score: 4%",
        "Score: 4 %",
        "Score: 4-5",
        "Score: 4 to 5",
        "Score: 4 or **5**",
        "Score: 4,5",
        "Score: 3, 4",
        "Score: ~4",
        "Score: " + "9" * 5000,
        "Score: 4\nScore: 5",
        "Score: 5\nScore: 45",
        "Score: 45\nScore: 4",
        "Score: 4\nScore: 4/10",
        "Score: 4e1\nScore: 4",
        "Score: ~4\nScore: 4",
        "Score: .\u0664\nScore: 4",
        "Score: \u22124\nScore: 4",
        "Subscore: 4",
        "Score 4",
        "Scores: 4",
        "The answer gets 4.",
        "4 5",
        "4\nbecause",
        "four",
    ],
)
def test_what_is_no_score_is_failed_and_never_cut_to_one(text: str) -> None:
    assert parse_score(text, SCALE, "Score:") == Reply(text, "failed", None)


def test_the_marker_is_the_template_s() -> None:
    assert scored("[RESULT] 4", "[RESULT]") == ("decided", 4.0)
    assert scored("good[RESULT] 4", "[RESULT]") == ("decided", 4.0)
    assert scored("Final   Score = 4", "Final score") == ("decided", 4.0)
    assert scored("Score 4", "Score") == ("decided", 4.0)
    assert scored("Score4", "Score") == FAILED
    assert scored("Score 5: all is right", "Score") == FAILED, "a line of the rubric"
    assert scored("S.ore: 4", "S.ore:") == ("decided", 4.0)
    assert scored("Score: 4", "S.ore:") == FAILED
    assert scored("4", "") == ("decided", 4.0)
    assert scored("Score: 4", "") == FAILED
    assert said(parse_score("Score: 5", [1, 3, 10], "Score:")) == ("decided", 5.0)
    assert said(parse_score("Score: 10/10", [1, 3, 10], "Score:")) == ("decided", 10.0)
    assert said(parse_score("Score: -1", [-1, 1], "Score:")) == ("decided", -1.0)
    assert said(parse_score("Score: 0", [1, 3, 10], "Score:")) == FAILED


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("[[A]]", ("decided", 1.0)),
        ("Both try.\n[[ B ]]", ("decided", 0.0)),
        ("[[tie]]", ("undecided", 0.5)),
        ("Verdict: [[A]] because B is wrong", ("decided", 1.0)),
        ("**Verdict:** **B**\n", ("decided", 0.0)),
        ("verdict: A", ("decided", 1.0)),
        ("Verdict: A.", ("decided", 1.0)),
        ("Verdict: A. Answer A is right.", ("decided", 1.0)),
        ('{"verdict": "B"}', ("decided", 0.0)),
        ("Verdict: tie", ("undecided", 0.5)),
        ("Verdict: A\n\nVerdict: A\n[[A]]", ("decided", 1.0)),
        ("A", ("decided", 1.0)),
        (" **B**.\n", ("decided", 0.0)),
        ("tie", ("undecided", 0.5)),
    ],
)
def test_a_choice_is_read_where_it_is_written(text: str, verdict: tuple[str, float]) -> None:
    assert parse_choice(text, LABELS, "Verdict:") == Reply(text, *verdict)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[A]] [[B]]",
        "[[A]]\nVerdict: B",
        "[[A]]\nVerdict: tie",
        "[[C]]",
        "[[A]] [[C]]",
        "[[B]]\nVerdict: neither",
        "[[a]]",
        "[[\u0410]]",
        "[[\u200bA]]",
        "[[A or B]]",
        "[[A>>B]]\n[[A]]",
        "Verdict: [[A",
        "Verdict: A tie",
        "Verdict: A, B",
        "Verdict: A, if any",
        "Verdict: A and B\n[[B]]",
        "Verdict: 'A' and 'B' are equal",
        "Verdict: A. B is worse.",
        "Verdict: Apple",
        "My verdicts: A",
        "The verdict A",
        "A B",
        "A or B",
        "A\nbecause it is right",
        "a",
        "Apple",
    ],
)
def test_what_is_no_choice_is_failed(text: str) -> None:
    assert parse_choice(text, LABELS, "Verdict:") == Reply(text, "failed", None)


def test_labels_may_be_words_or_signs() -> None:
    assert said(parse_choice("Verdict: A+", ("A", "A+"), "Verdict:")) == ("decided", 0.0)
    assert said(parse_choice("[[first]]", ("first", "second"), "")) == ("decided", 1.0)
    assert said(parse_choice("Verdict: 2", ("1", "2"), "Verdict:")) == ("decided", 0.0)
    assert said(parse_choice("Verdict: 12", ("1", "2"), "Verdict:")) == FAILED
    assert said(parse_choice("tie", ("A", "B"), "Verdict:")) == FAILED
