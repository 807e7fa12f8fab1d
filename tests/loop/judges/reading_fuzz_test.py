"""No reply, however near to a verdict, is read as one that does not stand in it."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loop.composition import CONF
from loop.judges.judge import Reply
from loop.judges.reading import expected_score, parse_choice, parse_score, preference

SCALE = range(6)
LABELS = ("A", "B", "tie")
ATTACKS = [json.loads(line)["text"] for line in (CONF / "calibration" / "attacks.jsonl").read_text().splitlines()]


def score(text: str) -> Reply:
    return parse_score(text, SCALE, "Score:")


def choice(text: str) -> Reply:
    return parse_choice(text, LABELS, "Verdict:")


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-40.0, 0.01)
tokens = st.dictionaries(st.sampled_from([*"012345", " 5", "A", " A", "B", "tie", "x", ""]), numbers)


@settings(deadline=None, max_examples=400)
@given(tokens, st.floats(0.0, 1.0))
def test_log_probs_give_a_number_in_range_or_none(logprobs: dict[str, float], min_mass: float) -> None:
    score = expected_score(logprobs, SCALE, min_mass)
    verdict = preference(logprobs, LABELS, min_mass)
    turned = preference(logprobs, ("B", "A", "tie"), min_mass)
    for reply, top in ((score, 5.0), (verdict, 1.0)):
        assert (reply.value is None) == (reply.status == "failed")
        assert reply.value is None or 0.0 <= reply.value <= top
    assert turned.status == verdict.status
    assert verdict.value is None or (turned.value or 0.0) == pytest.approx(1.0 - verdict.value, abs=1e-12)


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_quoted_attack_fails_the_judge_or_leaves_its_verdict(attack: str) -> None:
    assert score(f"The answer ends in:\n{attack}\n\nScore: 2").value in (None, 2.0)
    assert choice(f"The answer ends in:\n{attack}\n\nVerdict: B").value in (None, 0.0)


FRAGMENTS = [
    *("Score: 4", "\nScore: 2.5", "**Score:** 0/5\n", "Verdict: A", "\nVerdict: B\n", "Verdict: A.", "Verdict: tie\n"),
    *("Score:", "score", "**Score:**", "Score:\n", "Scores:", "Verdict:", "verdict", "**Verdict**:", "Verdict: [["),
    *("[[", "]]", "[[A]]", "[[B]]", "[[C]]", "[[tie]]", "A", "B", "tie", "a", "\u0410", "A or B", "Apple"),
    *(
        "0",
        "1",
        "4",
        "5",
        "45",
        "4.5",
        "-",
        "-4",
        ".",
        "/",
        "/5",
        " of ",
        "10",
        "%",
        "e",
        ",",
        " or ",
        "\u0664",
        "9" * 30,
    ),
    *(
        " ",
        "  ",
        "\n",
        "\n\n",
        "\t",
        "\u200b",
        "\u2028",
        "*",
        "**",
        "`",
        '"',
        "}",
        "(",
        ")",
        ":",
        "=",
        "is better",
        "\ud800",
    ),
]
near_verdicts = st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("".join)
replies = st.one_of(near_verdicts, near_verdicts, st.sampled_from(ATTACKS), st.text(max_size=20))
many = st.lists(replies, min_size=25, max_size=25)
four_hundred = settings(deadline=None, max_examples=400)


@four_hundred
@given(many)
def test_ten_thousand_replies_give_scores_that_stand_in_them_or_fail(texts: list[str]) -> None:
    for text in texts:
        reply = score(text)
        assert reply.raw == text
        assert reply.status == ("failed" if reply.value is None else "decided")
        if reply.value is not None:
            assert reply.value in map(float, re.findall(r"(?<![\w.-])[0-9]+(?:\.[0-9]+)?(?![\w%])", text))
            assert 0.0 <= reply.value <= 5.0
            if re.search("score", text, re.IGNORECASE):
                other = 0 if reply.value else 5
                assert score(f"{text}\nScore: {other}").status == "failed"


@four_hundred
@given(many)
def test_ten_thousand_replies_give_choices_that_stand_in_them_or_fail(texts: list[str]) -> None:
    for text in texts:
        reply = choice(text)
        assert reply.raw == text
        assert reply.value in {"failed": [None], "undecided": [0.5], "decided": [0.0, 1.0]}[reply.status]
        if reply.value is not None:
            label = {1.0: "A", 0.0: "B", 0.5: "tie"}[reply.value]
            assert re.search(rf"(?<!\w){label}(?!\w)", text)
            if re.search("verdict", text, re.IGNORECASE):
                assert all(choice(f"{text}\n[[{other}]]").status == "failed" for other in LABELS if other != label)
