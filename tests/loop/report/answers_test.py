from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from loop.report.answers import prompt_text, read_followed
from loop.report.tables import tables
from tests.loop.factories import judgement, response
from tests.loop.run_folders import PROMPT, Rows, begun


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    """A prompt that is right in round 0, wrong and cut in round 1, the same again in round 2, half right in round 3."""
    rows = Rows(begun(tmp_path / "run"))
    rows.add("prompts", 0, [PROMPT, replace(PROMPT, prompt_id="p1")])
    for number, (text, value, finish) in enumerate(
        [("4", 1.0, "end"), ("5", 0.0, "length"), ("5", None, "end"), ("four", 0.5, "end")]
    ):
        bare = replace(response(0, text, finish, "p0", f"e{number}"), round=number, purpose="evaluate")
        rows.add("evaluation_responses", number, [bare, replace(bare, response_id=f"x{number}", k=1, text="another")])
        said = replace(judgement([f"e{number}"], value, "failed" if value is None else "decided"), round=number)
        compared = replace(judgement([f"e{number}", "other"], 1.0), round=number, judgement_id="j2")
        rows.add("evaluation_judgements", number, [said, compared])
    return rows


def test_a_prompt_is_followed_over_the_rounds(rows: Rows) -> None:
    with tables(rows.ledger) as read:
        (one,) = read_followed(read, [0, 1, 2, 3], {1})
    assert (one.prompt, one.reference) == ("[system] Be brief.\n[user] 2 + 2?", "4")
    assert [(a.round, a.text, a.mark, a.tone, a.same, a.rejected) for a in one.answers] == [
        (0, "4", "✓ right", "good", False, False),
        (1, "5 [cut at the token limit]", "✗ wrong", "bad", False, True),
        (2, "5", "failed", "", True, False),
        (3, "four", "0.500", "", False, False),
    ]


def test_only_measured_rounds_are_read(rows: Rows) -> None:
    with tables(rows.ledger) as read:
        (one,) = read_followed(read, [0, 3], set())
        assert [answer.round for answer in one.answers] == [0, 3]
        assert read_followed(read, [], set()) == []
        assert read_followed(read, [7], set()) == []


def test_a_single_turn_needs_no_role() -> None:
    assert prompt_text('[{"role": "user", "content": "Hi"}]') == "Hi"
