"""What is printed and drawn."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from loop.judge_study.asking import Outcome
from loop.judge_study.comparison import side_by_side
from loop.judge_study.figures import Figures, figures
from loop.judge_study.plot import draw
from loop.judge_study.report import as_json, as_tables
from tests.loop.judge_study.builders import FAILED, answered, case, pair, said, scored

STRANGE = "Ma[bold]th$_\x1b[31m"


def studied(name: str, value: float | None) -> tuple[list[Outcome], Figures]:
    outcomes = [pair(0.9, 0.1, subset="Chat"), pair(value, 0.1, subset=STRANGE)]
    replies = [said(0.9), said(0.1), FAILED if value is None else said(value), said(0.1)]
    return outcomes, figures(name, outcomes, answered(*replies))


def printed(*judges: tuple[list[Outcome], Figures]) -> str:
    compared = side_by_side(judges[0][0], judges[1][0]) if len(judges) > 1 else None
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(as_tables("pairs.jsonl", [one for _, one in judges], compared, ["[red]current is initial"]))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def row(text: str, label: str) -> list[str]:
    return next(line for line in text.splitlines() if line.startswith(label)).removeprefix(label).split()


def test_a_table_tells_subsets_the_whole_and_the_macro_average() -> None:
    text = printed(studied("llm", None))
    assert "llm (judge-1) on pairs.jsonl" in text
    assert row(text, "Chat") == ["1", "100%", "2.5", "to", "100.0", "100%", "0.0%", "0.0%"]
    assert row(text, "all")[:2] == ["2", "50.0%"] and row(text, "macro average")[0] == "50.0%"
    assert row(text, "failed 1 times") == ["no", "verdict"]
    assert row(text, "cut, failed") == ["0,", "1"]


def test_foreign_text_is_shown_as_it_is_and_obeyed_by_nobody() -> None:
    text = printed(studied("llm", 0.8))
    assert "Ma[bold]th$_\\x1b[31m" in text and "\x1b" not in text
    assert "note: [red]current is initial" in text


def test_two_judges_are_told_apart_and_compared() -> None:
    text = printed(studied("llm", 0.8), studied("self", 0.05))
    assert "llm (judge-1) less self (judge-1), in points" in text
    assert row(text.split("in points")[1], "Chat")[:2] == ["1", "0.0"]
    assert row(text, "same verdict   ") == ["50.0%"]


def test_json_holds_everything_and_no_number_that_is_none() -> None:
    one, other = studied("llm", None), studied("self", 0.8)
    text = json.dumps(as_json("f", [one[1], other[1]], side_by_side(one[0], other[0]), ["n"]), allow_nan=False)
    found = json.loads(text)
    assert found["schema_version"] == 1 and found["notes"] == ["n"] and found["file"] == "f"
    assert [judge["judge"] for judge in found["judges"]] == ["llm", "self"]
    assert found["judges"][0]["subsets"][1]["failed"] == 1.0 and found["judges"][0]["bins"][0]["share"] == 1.0
    assert found["comparison"]["overall"]["difference"] == -0.5
    assert as_json("f", [one[1]], None, [])["comparison"] is None


def test_the_score_of_ties_has_a_row_of_its_own() -> None:
    cases = [case(["a"], ["x"], "Ties", "ref:1"), case(["a", "b"], ["x"], "Ties", "tied:1")]
    outcomes = [scored(one, *[1.0] * len(one.chosen), 0.0) for one in cases]
    text = printed((outcomes, figures("reward_model", outcomes, answered(*[said(1.0)] * 5))))
    assert row(text, "Ties, weighted score, at most 101%") == ["101.0%"]


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_one_judge_and_two_are_drawn_the_same_each_time(tmp_path: Path, suffix: str) -> None:
    judges = [studied("llm", 0.8)[1], studied("self", None)[1]]
    for name, some in (("one", judges[:1]), ("two", judges), ("again", judges)):
        draw(some, tmp_path / f"{name}{suffix}")
    one, two, again = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("one", "two", "again"))
    assert one.startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")
    assert one != two == again


def test_a_judge_that_always_failed_is_drawn_without_bins(tmp_path: Path) -> None:
    outcomes = [pair(None, None)]
    draw([figures("llm", outcomes, answered(FAILED, FAILED))], tmp_path / "none.svg")
    assert (tmp_path / "none.svg").stat().st_size > 0
