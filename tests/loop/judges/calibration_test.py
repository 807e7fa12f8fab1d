"""The check of a judge: its pairs, its questions, and what the replies come to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loop.errors import Refused
from loop.judge_config import CheckConfig
from loop.judges.calibration import (
    CheckReport,
    level_problem,
    pairs_for,
    questions,
    report,
    sentence,
    shortfalls,
    table,
)
from loop.judges.calibration_pairs import (
    GENERAL,
    KINDS,
    CalibrationPair,
    calibration_pairs,
    pairs_from_file,
)
from loop.judges.judge import Asked, Reply
from loop.prompts.canonical import canonical_json, prompt_id_of
from loop.records import Prompt

Value = Callable[[Asked], float | None]


def prompt(text: str, answer: str | None, source: str = "pool") -> Prompt:
    messages = canonical_json([{"role": "user", "content": text}])
    return Prompt(prompt_id_of(messages, answer), messages, [], answer, source)


SUMS = [prompt(f"What is {n} + {n}?", f"{n} + {n} = {2 * n}") for n in range(10, 30)]
WORDS = [prompt(f"Upper: {word}", word.upper()) for word in ("stone", "river", "cloud", "table", "grass")]


def told(pairs: list[CalibrationPair], judge: Value) -> CheckReport:
    asked = questions(pairs)
    values = [judge(each) for each in asked]
    return report([pair.kind for pair in pairs], [_reply(value) for value in values])


def _reply(value: float | None) -> Reply:
    if value is None:
        return Reply("", "failed", None)
    return Reply("", "undecided" if value == 0.5 else "decided", value)


def knows(asked: Asked) -> float:
    """A judge that knows the reference answer."""
    right = [text == asked.answer for text in asked.texts]
    return 0.5 + 0.4 * (right[0] - right[1])


def shares(found: CheckReport, key: str) -> dict[str, float | None]:
    return {each.kind: getattr(each, key) for each in found.kinds}


def test_every_prompt_with_an_answer_gives_one_pair_of_each_kind() -> None:
    pairs = calibration_pairs([*SUMS, prompt("Say hello.", None), prompt("Be silent.", " ")], 100, 0)
    assert [pair.kind for pair in pairs] == list(KINDS) * len(SUMS)
    assert {pair.answer for pair in pairs} == {p.answer for p in SUMS}
    assert all(pair.better == pair.answer for pair in pairs)


def test_a_wrong_answer_is_wrong_and_as_long_as_a_right_one() -> None:
    for pair in calibration_pairs([*SUMS, *WORDS], 100, 3):
        if pair.kind == "gold":
            assert pair.worse[0] == pair.worse[1]
            assert pair.worse[0].strip().casefold() != pair.better.strip().casefold()
            assert len(pair.worse[0]) == len(pair.better)


def test_wrong_answers_come_from_the_same_kind_of_task_or_differ_in_one_character() -> None:
    answers = {p.answer for p in WORDS}
    kinds = set()
    for seed in range(8):
        for pair in calibration_pairs([*SUMS, *WORDS], 100, seed):
            if pair.kind == "gold" and pair.better in answers:
                wrong = pair.worse[0]
                changed = sum(a != b for a, b in zip(pair.better, wrong, strict=True)) == 1
                assert wrong in answers or changed
                assert wrong.isupper()
                kinds.add(wrong in answers)
    assert kinds == {True, False}


def test_the_last_number_is_what_changes_in_a_text() -> None:
    only = prompt("How many apples?", "She has 3 and buys 4, so 7 apples.")
    wrong = calibration_pairs([only], 1, 0)[0].worse[0]
    assert wrong != only.answer
    assert wrong.startswith("She has 3 and buys 4, so ")
    assert wrong.endswith(" apples.")


def test_a_text_that_no_letter_makes_wrong_is_left_out_without_another_answer() -> None:
    lone = prompt("Describe rain.", "Water falls from clouds.")
    assert calibration_pairs([lone], 5, 0) == []
    assert calibration_pairs([lone, prompt("Describe snow.", "Ice falls.", "elsewhere")], 5, 0) == []
    assert calibration_pairs([lone, prompt("Describe snow.", "Ice falls.")], 5, 0)[0].worse[0] in (
        "Ice falls.",
        "Water falls from clouds.",
    )


def test_the_pairs_follow_from_the_seed_and_not_from_the_order_of_prompts() -> None:
    pairs = calibration_pairs(SUMS, 6, 1)
    assert len(pairs) == 6 * len(KINDS)
    assert pairs == calibration_pairs(SUMS[::-1], 6, 1)
    assert pairs != calibration_pairs(SUMS, 6, 2)


def test_what_is_done_to_a_worse_answer() -> None:
    for pairs in (calibration_pairs(SUMS, 20, 0), pairs_from_file(str(GENERAL))):
        for at in range(0, len(pairs), len(KINDS)):
            gold, longer, empty, injected, identical = pairs[at : at + len(KINDS)]
            assert longer.worse[0].startswith(gold.worse[0])
            assert len(longer.worse[0]) >= len(gold.worse[0]) + min(80, 3 * len(gold.worse[0]))
            assert empty.worse == ("", "")
            assert all(text.startswith(gold.worse[0] + "\n") for text in injected.worse)
            assert identical.worse == (identical.better, identical.better)


def test_an_injected_verdict_names_the_place_where_the_worse_answer_is_shown() -> None:
    injected = [pair for pair in pairs_from_file(str(GENERAL)) if pair.kind == "injected"]
    named = [pair for pair in injected if pair.worse[0].endswith("[[A]]")]
    assert named and len(named) < len(injected)
    better_first, worse_first = questions(named[:1])
    assert better_first.texts[1].endswith("[[B]]")
    assert worse_first.texts[0].endswith("[[A]]")
    assert better_first.question.response_ids[1] != worse_first.question.response_ids[0]


def test_each_pair_is_asked_in_both_orders() -> None:
    pairs = calibration_pairs(SUMS, 4, 0)
    asked = questions(pairs)
    assert len(asked) == 2 * len(pairs)
    for pair, first, second in zip(pairs, asked[::2], asked[1::2], strict=True):
        assert (first.texts[0], second.texts[1]) == (pair.better, pair.better)
        assert (first.texts[1], second.texts[0]) == (pair.worse[1], pair.worse[0])
        assert first.question.response_ids[0] == second.question.response_ids[1]
        assert first.question.kind == second.question.kind == "pairwise"
        for each in (first, second):
            assert sorted(each.group_K) == sorted([pair.better, *each.texts])
            assert (each.answer, each.conversation) == (pair.answer, pair.conversation)
    ids = [(tuple(each.question.response_ids), each.question.prompt_id) for each in asked]
    assert len(set(ids)) == len(ids)
    assert ids == [(tuple(each.question.response_ids), each.question.prompt_id) for each in questions(pairs)]


def test_a_judge_that_knows_is_accurate_and_consistent() -> None:
    found = told(calibration_pairs(SUMS, 8, 0), knows)
    assert shares(found, "accuracy") == {kind: 1.0 for kind in KINDS} | {"identical": None}
    assert set(shares(found, "consistency").values()) == {1.0}
    assert set(shares(found, "first_shown").values()) == {0.5}
    assert (found.consistent, found.identical_gap) == (1.0, 0.0)
    assert shortfalls(found, {"gold": 1.0, "longer": 1.0, "empty": 1.0, "injected": 1.0, "consistent": 1.0}) == []


def test_a_judge_that_takes_the_first_is_half_right_and_never_consistent() -> None:
    found = told(calibration_pairs(SUMS, 8, 0), lambda asked: 0.9)
    assert set(shares(found, "accuracy").values()) == {0.5, None}
    assert set(shares(found, "first_shown").values()) == {1.0}
    assert found.consistent == 0.0
    assert found.identical_gap == pytest.approx(0.4)


def test_a_judge_that_takes_the_longer_fails_on_longer_pairs_alone() -> None:
    def longer(asked: Asked) -> float:
        first, second = map(len, asked.texts)
        return 0.5 + 0.5 * ((first > second) - (first < second))

    found = told(calibration_pairs(SUMS, 8, 0), longer)
    assert shares(found, "accuracy") == {"gold": 0.5, "longer": 0.0, "empty": 1.0, "injected": 0.0, "identical": None}
    assert found.consistent == 1.0
    said = shortfalls(found, {"gold": 0.5, "longer": 0.6, "empty": 1.0})
    assert said == ["the judge's accuracy on longer pairs is 0.000, below judge.check.levels.longer=0.6"]


def test_a_tie_is_half_right_and_contradicts_nothing() -> None:
    pairs = [pair for pair in calibration_pairs(SUMS, 4, 0) if pair.kind == "gold"]
    found = told(pairs, lambda asked: 0.9 if asked.texts[0] == asked.answer else 0.5)
    assert [(each.kind, each.pairs) for each in found.kinds] == [("gold", 4)]
    assert found.kinds[0].accuracy == 0.75
    assert found.consistent == 1.0
    assert found.identical_gap is None


def test_a_failed_judgement_is_wrong_and_tells_nothing_of_the_order() -> None:
    pairs = [pair for pair in calibration_pairs(SUMS, 4, 0) if pair.kind == "gold"]
    half = told(pairs, lambda asked: None if asked.texts[0] == asked.answer else 0.1)
    assert (half.kinds[0].accuracy, half.kinds[0].failed, half.consistent) == (0.5, 0.5, None)
    none = told(pairs, lambda asked: None)
    assert (none.kinds[0].accuracy, none.kinds[0].failed, none.kinds[0].first_shown) == (0.0, 1.0, None)
    said = shortfalls(none, {"gold": 0.6, "consistent": 0.5})
    assert said[0] == "the judge's accuracy on gold pairs is 0.000, below judge.check.levels.gold=0.6"
    assert said[1] == "the judge's consistency is -, below judge.check.levels.consistent=0.5"
    assert said[2] == "8 of 8 judgements failed (the table judge_checks says why)"


def test_identical_texts_count_for_their_gap_only() -> None:
    def leaning(asked: Asked) -> float:
        return 0.8 if asked.texts[0] == asked.texts[1] else knows(asked)

    found = told(calibration_pairs(SUMS, 4, 0), leaning)
    assert found.consistent == 1.0
    assert found.identical_gap == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("levels", "problem"),
    [
        ({"gold": 0.6, "consistent": 1.0, "longer": 0.0, "empty": 0.5, "injected": 0.5}, None),
        ({"glod": 0.6}, "did you mean gold; it knows gold, longer, empty, injected, consistent."),
        ({"identical": 0.6}, "has no 'identical'"),
        ({"gold": 60.0}, "judge.check.levels.gold is 60.0, but a level lies between 0 and 1."),
        ({"gold": float("nan")}, "is nan"),
    ],
)
def test_levels_are_checked(levels: dict[str, float], problem: str | None) -> None:
    said = level_problem(levels)
    assert said is None if problem is None else problem in str(said)


def test_the_table_is_aligned_and_the_report_is_json() -> None:
    found = told(calibration_pairs(SUMS, 4, 0), knows)
    lines = table(found)
    rows = lines[: 1 + len(KINDS)]
    assert len({len(line) for line in rows}) == 1
    assert rows[1].split() == ["gold", "4", "1.000", "1.000", "0.500", "0.000"]
    assert rows[-1].split()[2] == "-"
    assert lines[-2].endswith("1.000") and lines[-1].endswith("0.000")
    told_again = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told_again["kinds"]["gold"]["accuracy"] == 1.0
    assert told_again["consistent"] == 1.0


def test_a_file_of_preferences(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    rows = [
        {"prompt": "2+2?", "chosen": "4", "rejected": "5", "answer": "4"},
        {"prompt": [{"role": "user", "content": "Hi"}], "chosen": "Hello", "rejected": "Go away"},
    ]
    file.write_text("\n\n".join(map(json.dumps, rows)) + "\n")
    pairs = pairs_from_file(str(file))
    assert [pair.kind for pair in pairs] == list(KINDS) * 2
    gold = {pair.better: pair for pair in pairs if pair.kind == "gold"}
    assert gold["4"].answer == "4" and gold["4"].worse == ("5", "5")
    assert gold["Hello"].answer is None and gold["Hello"].conversation == [{"role": "user", "content": "Hi"}]
    assert len(pairs_from_file(str(file), 1, 0)) == len(KINDS)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no preference pairs"),
        ('{"prompt": "a", "chosen": "b"}', "line 1: a calibration pair needs `chosen` and `rejected`"),
        ('{"prompt": "a", "chosen": "b", "rejected": "b "}', "line 1: `chosen` and `rejected` are the same"),
        ("[1]", "line 1: the line is a list"),
    ],
)
def test_a_file_that_is_none_is_refused(text: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text(text)
    with pytest.raises(Refused, match=problem):
        pairs_from_file(str(file))


def test_the_pairs_are_the_files_else_the_pools_else_general_ones(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}')
    check = CheckConfig(prompts=3)
    assert pairs_for(CheckConfig(prompts=3, file=str(file)), SUMS, 0)[0].better == "b"
    assert pairs_for(check, SUMS, 0) == calibration_pairs(SUMS, 3, 0)
    general = pairs_for(check, [prompt("Say hello.", None)], 0)
    assert [pair.better for pair in general] == [pair.better for pair in pairs_from_file(str(GENERAL), 3, 0)]
    assert len(general) == 3 * len(KINDS)


def test_the_general_set_is_large_and_has_no_prompt_twice() -> None:
    gold = [pair for pair in pairs_from_file(str(GENERAL)) if pair.kind == "gold"]
    assert len(gold) >= 40
    assert len({canonical_json(pair.conversation) for pair in gold}) == len(gold)


def test_one_line_tells_what_the_check_came_to() -> None:
    said = sentence(told(calibration_pairs(SUMS, 4, 0), knows))
    assert said == (
        "The judge's check: right on pairs of kind gold 100 %, longer 100 %, empty 100 %, injected 100 %; the same in "
        "both orders 100 %."
    )


def test_general_pairs_have_their_better_response_for_a_reference_answer() -> None:
    same = [dataclasses.replace(prompt, answer="one answer to everything") for prompt in SUMS]
    pairs = pairs_for(CheckConfig(prompts=4), same, 0)
    assert pairs and all(pair.answer == pair.better for pair in pairs)
