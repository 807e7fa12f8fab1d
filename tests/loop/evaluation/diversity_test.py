from __future__ import annotations

import pytest

from loop.evaluation.diversity import distinct_answers, distinct_n


def test_among_several_answers_to_a_prompt_the_different_ones_count() -> None:
    # 2 of 4 and 3 of 3; a prompt with one answer tells nothing
    answers = {"p": ["a", "a", "b", "b"], "q": ["a", "b", "c"], "r": ["a"]}
    assert distinct_answers(answers) == pytest.approx((2 / 4 + 3 / 3) / 2)


def test_with_one_answer_each_they_are_compared_across_prompts() -> None:
    assert distinct_answers({"p": ["a"], "q": ["a"], "r": ["b"], "s": []}) == pytest.approx(2 / 3)
    assert distinct_answers({"p": []}) is None
    assert distinct_answers({}) is None


def test_distinct_n_counts_n_grams_within_answers() -> None:
    tokens = [[1, 2, 1, 2], [2, 1]]
    assert distinct_n(tokens, 1) == pytest.approx(2 / 6)
    assert distinct_n(tokens, 2) == pytest.approx(2 / 4)  # 12 21 12 and 21
    assert distinct_n(tokens, 5) is None
