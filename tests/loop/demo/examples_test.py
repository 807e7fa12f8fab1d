"""The demonstrations' and the judge's training data, and their tokens."""

import random

import pytest

from loop.demo.batches import IGNORED, make_batch
from loop.demo.examples import (
    SLIP_FRACTION,
    TIE_FRACTION,
    Example,
    Quote,
    draw_demonstration,
    draw_verdicts,
    draw_wrong,
    judge_example,
)
from loop.demo.policy import make_tokenizer
from loop.demo.task import Item, Pool, is_right, pool_of
from loop.demo.train_policy import JUDGE_TEMPLATE
from loop.judges.template import load_template

TEMPLATE = load_template(str(JUDGE_TEMPLATE)).text


def test_judge_template_ends_with_the_second_answer() -> None:
    assert TEMPLATE == "Which is right?\n{instruction}\nA: {answer_a}\nB: {answer_b}"


def test_demonstrations_slip_as_often_as_promised() -> None:
    rng = random.Random(0)
    drawn = [draw_demonstration(rng) for _ in range(2000)]
    wrong = sum(not is_right(example.user, example.assistant) for example in drawn)
    assert wrong / 2000 == pytest.approx(SLIP_FRACTION, abs=0.03)
    assert {pool_of(example.user.partition(": ")[2]) for example in drawn} == {Pool.DEMONSTRATIONS}


def test_wrong_answers_are_wrong() -> None:
    rng = random.Random(0)
    assert all(draw_wrong("abcde", rng) != "abcde" for _ in range(1000))


def _shown(user: str) -> tuple[str, str, str]:
    _, prompt, answer_a, answer_b = user.split("\n")
    return prompt, answer_a.removeprefix("A: "), answer_b.removeprefix("B: ")


def test_verdicts_name_the_right_answer_but_in_ties() -> None:
    rng = random.Random(0)
    ties = 0
    for _ in range(1000):
        first, second = draw_verdicts(TEMPLATE, rng)
        prompt, one, other = _shown(first.user)
        assert _shown(second.user) == (prompt, other, one)
        assert (first.assistant, second.assistant) == ("A", "B")
        assert pool_of(prompt.partition(": ")[2]) is Pool.JUDGE
        if is_right(prompt, one) == is_right(prompt, other):
            ties += 1
        else:
            assert is_right(prompt, one)
    assert ties / 1000 == pytest.approx(TIE_FRACTION, abs=0.03)


def test_quotes_by_hand() -> None:
    example = judge_example("{instruction}|{answer_a}|{answer_b}", Item("Copy: ab", "ab"), "ab", "a", "A")
    assert example.user == "Copy: ab|ab|a"
    assert example.quotes == (Quote(9, "ab", "ab"), Quote(12, "a", "ab"))


@pytest.mark.parametrize(
    ("wrong", "right"), [("ac", "ab<|im_end|>"), ("a", "ab"), ("abb", "ab<|im_end|><|im_end|>"), ("ba", "ab<|im_end|>")]
)
def test_batch_labels_by_hand(wrong: str, right: str) -> None:
    tokenizer = make_tokenizer()
    judged = judge_example("{instruction}|{answer_a}|{answer_b}", Item("Copy: ab", "ab"), "ab", wrong, "A")
    batch = make_batch(tokenizer, [judged, Example("Copy: ab", "ba")])
    labels = batch.right[0][batch.right[0] != IGNORED]
    assert tokenizer.decode(labels) == "ab|" + right
    assert (batch.ids[0] == batch.right[0]).sum() == 3 + sum(
        own == due for own, due in zip([*wrong, "<|im_end|>"], ["a", "b", *["<|im_end|>"] * 9], strict=False)
    )
    assert [tokenizer.decode(ids[at != IGNORED]) for ids, at in zip(batch.ids, batch.answers, strict=True)] == [
        "A<|im_end|>",
        "ba<|im_end|>",
    ]
    assert (batch.right[1] == IGNORED).all()
