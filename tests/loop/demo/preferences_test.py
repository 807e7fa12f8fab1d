"""The demo's preference cases."""

from __future__ import annotations

from collections import Counter

from loop.demo.make_preferences import DISGUISES, FILE, POOL, cases, text
from loop.demo.task import KINDS, Pool, answer_to, pool_of
from loop.judge_config import JudgeKind, VerifierConfig
from loop.judge_study.asking import Manner, outcomes, questions
from loop.judge_study.cases import read_cases
from loop.judges.judge import Asked
from loop.judges.verifier import verifier_of


def test_the_shipped_file_is_what_the_function_makes() -> None:
    assert FILE.read_text(encoding="utf-8") == text()


def test_subsets_and_their_sizes() -> None:
    found = read_cases(str(FILE))
    assert Counter(one.subset for one in found) == {**dict.fromkeys(KINDS, 40), "Best of 4": 24, "Ties": 16}
    assert all(len(one.rejected) == 3 for one in found if one.subset == "Best of 4")
    assert len({one.prompt_id for one in found}) == 192 and len({one.case_id for one in found}) == 200
    tied = [one for one in found if one.case_id.startswith("tied:")]
    assert len(tied) == 8 and all(len(one.chosen) == len(DISGUISES) for one in tied)
    reference = {one.prompt_id: one.rejected for one in found if one.case_id.startswith("ref:")}
    assert all(reference[one.prompt_id] == one.rejected for one in tied)


def test_no_word_belongs_to_rounds_or_to_what_is_held_out() -> None:
    assert POOL not in (Pool.ROUNDS, Pool.HELD_OUT)
    assert {pool_of(row["prompt"].partition(": ")[2]) for row in cases()} == {POOL}


def test_the_right_ones_are_right_and_the_wrong_ones_wrong() -> None:
    for one in read_cases(str(FILE)):
        right = answer_to(one.conversation[0]["content"])
        assert one.answer == right and {text.strip() for text in one.chosen} == {right}
        assert right not in {text.strip() for text in one.rejected} and len(set(one.rejected)) == len(one.rejected)


def test_the_verifier_tells_every_case_right() -> None:
    verifier, found, manner = verifier_of(VerifierConfig("v", JudgeKind.verifier)), read_cases(str(FILE)), Manner()
    asked: list[Asked] = questions(found, manner)
    assert {one.credit for one in outcomes(found, verifier.answer(asked, "r0-s0"), manner)} == {1.0}
