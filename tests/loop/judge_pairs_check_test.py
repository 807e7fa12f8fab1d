"""Recipes that pair judgements of a judge that writes none are refused while composing."""

from __future__ import annotations

from pathlib import Path

import pytest

import conf
from loop.composition import compose
from loop.validation import problems

ASSETS = Path(conf.__file__).parent
WRITES = ("judge=self", "judge.read=text", "judge.temperature=0.8", "judge.max_tokens=8")
COMPARES = ("algorithm.plan.name=all_pairs", "algorithm.plan.repeats=3")
MADE_OF = (
    "pairs of judgements are made of what the policy writes as judge (judge=self judge.read=text "
    "judge.temperature=0.8); algorithm.judge_pairs.rounds=0 leaves them out"
)


def found(*overrides: str, recipe: str = "meta_rewarding") -> list[str]:
    return list(problems(compose(["experiment=demo", f"algorithm={recipe}", *overrides])))


def test_a_policy_that_writes_judgements_more_than_once_suits() -> None:
    assert found(*WRITES, *COMPARES) == []
    scores = ("judge.template=" + str(ASSETS / "templates" / "additive_rubric.yaml"), "judge.max_context=1024")
    assert found(*WRITES, *scores) == []


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ((), f"with judge=verifier: {MADE_OF}"),
        (("judge=self", "algorithm.plan.name=all_pairs"), f"with judge=self: {MADE_OF}"),
        ((*WRITES, *COMPARES, "judge.temperature=0"), MADE_OF),
        ((*WRITES, *COMPARES, "judge.model=initial"), MADE_OF),
        ((*WRITES, *COMPARES, "+judge@later_judges.x=verifier", "later_judges.x.from_round=2"), "with judge=verifier"),
        ((*WRITES, *COMPARES, "algorithm.plan.repeats=1"), "need algorithm.plan.repeats above 1"),
        ((*WRITES, *COMPARES, "algorithm.loss.name=sppo"), "loss sppo does not learn from pairs of judgements alone"),
        ((*WRITES, *COMPARES, "algorithm.keep=0.5"), "algorithm.keep would set margins"),
        ((*WRITES, *COMPARES, "judge.meta_template=null"), "are compared by judge.meta_template"),
        (
            (*WRITES, *COMPARES, f"judge.meta_template={ASSETS}/templates/additive_rubric.yaml"),
            "a template that asks for a preference",
        ),
        ((*WRITES, *COMPARES, "judge.meta_template=nowhere.yaml"), "nowhere.yaml cannot be read"),
        (
            (*WRITES, *COMPARES, f"judge.template={ASSETS}/templates/additive_rubric.yaml", "judge.max_context=1024"),
            "plan all_pairs compares by the scores of each",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(overrides: tuple[str, ...], sentence: str) -> None:
    assert any(sentence in problem for problem in found(*overrides)), found(*overrides)


def test_without_such_pairs_and_after_their_rounds_any_judge_will_do() -> None:
    assert found("algorithm.judge_pairs.rounds=0") == []
    later = ("+judge@later_judges.x=verifier", "later_judges.x.from_round=3")
    assert found(*WRITES, *COMPARES, *later) == []
    assert found("judge=self", *COMPARES, recipe="self_rewarding") == []
