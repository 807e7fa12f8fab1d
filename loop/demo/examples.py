"""What the demo's policy is trained on: demonstrations of mixed quality, and clean verdicts on pairs of answers."""

import random
from dataclasses import dataclass

from loop.demo.slips import replace, slip
from loop.demo.task import Item, Pool, draw_item

SLIP_FRACTION = 0.58  # of the demonstrations
TIE_FRACTION = 0.08  # of the judge's pairs: two right or two wrong answers, so that no verdict is the right one
VERDICTS = ("A", "B")


@dataclass(frozen=True)
class Quote:
    """An answer quoted in the user's text, from the character ``start`` on, and what it should have been."""

    start: int
    answer: str
    right: str


@dataclass(frozen=True)
class Example:
    """One exchange: what the user says and what the assistant is trained to say."""

    user: str
    assistant: str
    quotes: tuple[Quote, ...] = ()


def judge_prompt(template: str, instruction: str, answer_a: str, answer_b: str) -> str:
    """The user's turn that asks which of two answers is right."""
    return template.format(instruction=instruction, answer_a=answer_a, answer_b=answer_b)


def judge_example(template: str, item: Item, answer_a: str, answer_b: str, verdict: str) -> Example:
    """The judge's prompt with its verdict, and where it quotes the two answers."""
    quotes = []
    for field, answer in (("{answer_a}", answer_a), ("{answer_b}", answer_b)):
        start = len(judge_prompt(template.partition(field)[0], item.prompt, answer_a, answer_b))
        quotes.append(Quote(start, answer, item.answer))
    return Example(judge_prompt(template, item.prompt, answer_a, answer_b), verdict, tuple(quotes))


def draw_demonstration(rng: random.Random) -> Example:
    """An instruction with a demonstrated answer, which holds one slip in ``SLIP_FRACTION`` of the draws."""
    item = draw_item(Pool.DEMONSTRATIONS, rng)
    answer = slip(item.answer, rng) if rng.random() < SLIP_FRACTION else item.answer
    return Example(item.prompt, answer)


def draw_wrong(right: str, rng: random.Random) -> str:
    """A wrong answer for the judge to learn from: one or two slips, or up to five letters replaced."""
    while True:
        wrong = right
        if rng.random() < 0.5:
            for _ in range(rng.choice((1, 1, 1, 2))):
                wrong = slip(wrong, rng)
        else:
            for _ in range(rng.randint(1, 5)):
                wrong = replace(wrong, rng)
        if wrong != right:
            return wrong


def draw_verdicts(template: str, rng: random.Random) -> tuple[Example, Example]:
    """Two answers of one prompt shown in both orders, each with its verdict."""
    item = draw_item(Pool.JUDGE, rng)
    better, worse = _draw_answers(item.answer, rng)
    return (
        judge_example(template, item, better, worse, VERDICTS[0]),
        judge_example(template, item, worse, better, VERDICTS[1]),
    )


def _draw_answers(right: str, rng: random.Random) -> tuple[str, str]:
    """The right answer and a wrong one; in a tie two right or two wrong ones."""
    if rng.random() >= TIE_FRACTION:
        return right, draw_wrong(right, rng)
    if rng.random() < 0.5:
        return right, right
    return draw_wrong(right, rng), draw_wrong(right, rng)
