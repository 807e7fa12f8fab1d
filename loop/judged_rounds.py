"""How good a round's judge was on the policy's own answers: right against wrong ones, from the ledger's rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from loop.judges.verifier_checks import exact
from loop.records import Judgement, Prompt, Response


@dataclass(frozen=True, slots=True)
class JudgedRound:
    """A judge on comparisons of a right with a wrong answer, the cases; none is one of which an order gave no number.

    `accuracy`: share of the cases in which it prefers the right one, the orders shown averaged; a tie counts half.
    `flips`: share of the cases shown in `both` orders in which the same position wins both times; a tie contradicts
    nothing. None: no such case.
    """

    cases: int
    accuracy: float | None
    flips: float | None
    both: int = field(default=0, compare=False)

    def sums(self) -> dict[str, float]:
        """Counts that add up over the parts of a round: cases, right ones, cases in both orders, flips."""
        right, flipped = (self.accuracy or 0.0) * self.cases, (self.flips or 0.0) * self.both
        return {"gold_cases": self.cases, "gold_right": right, "gold_both": self.both, "gold_flips": flipped}


def right_answers(prompts: Iterable[Prompt], responses: Iterable[Response]) -> dict[str, bool]:
    """By response id whether it is exactly the reference answer, outer white space aside; without those of prompts that
    have none."""
    answers = {prompt.prompt_id: prompt.answer for prompt in prompts}
    return {
        response.response_id: bool(exact(response.text, answer, {}).right)
        for response in responses
        if (answer := answers.get(response.prompt_id)) is not None
    }


def judged_rounds(right: Mapping[str, bool], judgements: Iterable[Judgement]) -> dict[int, JudgedRound]:
    """Every judged round by its number. Judgements of single responses say nothing here, nor do those of two that are
    both right, both wrong or not known."""
    values: dict[int, dict[tuple[str, str], dict[bool, list[float | None]]]] = defaultdict(dict)
    for judgement in {one.judgement_id: one for one in judgements}.values():
        said = values[judgement.round]
        if len(judgement.response_ids) != 2:
            continue
        first, second = judgement.response_ids
        if first in right and second in right and right[first] != right[second]:
            pair = (first, second) if right[first] else (second, first)
            said.setdefault(pair, {}).setdefault(right[first], []).append(_for_right(judgement, right[first]))
    return {number: _told([_orders(one) for one in values[number].values()]) for number in sorted(values)}


def judged_rows(
    prompts: Mapping[str, Prompt], responses: Sequence[Response], judgements: Sequence[Judgement]
) -> JudgedRound:
    """The same for a part of one round."""
    asked = [prompts[one] for one in {response.prompt_id for response in responses}]
    return next(iter(judged_rounds(right_answers(asked, responses), judgements).values()), JudgedRound(0, None, None))


def _for_right(judgement: Judgement, right_first: bool) -> float | None:
    """The probability that the right answer is better; None where the judge gave no number."""
    if judgement.status == "failed" or judgement.value is None:
        return None
    return judgement.value if right_first else 1.0 - judgement.value


def _orders(said: Mapping[bool, list[float | None]]) -> list[float | None]:
    """Of each order that was shown the mean over its repeats, without those that gave no number."""
    known = [[value for value in some if value is not None] for some in said.values()]
    return [fmean(some) if some else None for some in known]


def _told(cases: Iterable[list[float | None]]) -> JudgedRound:
    whole = [known for orders in cases if len(known := [one for one in orders if one is not None]) == len(orders)]
    both = [orders for orders in whole if len(orders) == 2]
    return JudgedRound(
        cases=len(whole),
        accuracy=fmean(_side(fmean(orders)) for orders in whole) if whole else None,
        flips=fmean({_side(one), _side(other)} == {0.0, 1.0} for one, other in both) if both else None,
        both=len(both),
    )


def _side(value: float) -> float:
    """1 for the right answer, 0 for the wrong one, one half for a tie."""
    return 0.5 * ((value > 0.5) - (value < 0.5)) + 0.5
