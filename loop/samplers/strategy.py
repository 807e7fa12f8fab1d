"""What a sampling strategy is: the responses that a group still wants, given those that it has and what the judge said
of them. Pure functions; engines and judges are asked by others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loop.records import Message, Prompt, Purpose
from loop.verdict import Group

Options = Mapping[str, float]
Values = Mapping[str, float | None]
"""The judge's score of each draft, by response id; None is a hole, or a response that was not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One response that a strategy wants for a group. Purpose and number make its id; no two of a group share both.

    It is sampled behind the prompt; behind `turns`, a conversation of its own; or behind the prompt and the tokens
    `prefix_T` (as text `prefix`), which it continues: its own tokens are then those that come after, its text is the
    whole. With `text` nothing is sampled: that text is it. With `answers_prompt` it is stored as a reply to the prompt,
    whatever it was sampled behind. `stop` ends it early; `max_tokens` and `temperature` where they differ from those of
    the request.
    """

    purpose: Purpose
    number: int
    turns: tuple[Message, ...] | None = None
    prefix_T: tuple[int, ...] = ()
    prefix: str = ""
    text: str | None = None
    answers_prompt: bool = False
    parent: str | None = None
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A named strategy. A group takes `steps(options)` steps; before the last of them, which completes it, the judge
    scores every response of a step. `propose(prompt, group, values, options, step, k)` gives the draws of a step;
    `group` holds what there is already, in the order in which it came. `most(options, k)` is how many responses it
    gives a group at most. `options` are those of its own, `bounds` where they must lie (inclusive; whole numbers where
    the default is one)."""

    name: str
    source: str
    propose: Callable[[Prompt, Group, Values, Options, int, int], list[Draw]]
    steps: Callable[[Options], int] = lambda options: 1
    most: Callable[[Options, int], int] = lambda options, k: k
    options: Options = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def samples(prompt: Prompt, group: Group, values: Values, options: Options, step: int, k: int) -> list[Draw]:
    """K samples of the policy, numbered from `first`. A request says what they are for."""
    first = int(options["first"])
    return [Draw(purpose="train", number=first + number) for number in range(k)]


SAMPLES = Strategy(name="samples", source="K samples of the policy", propose=samples, options={"first": 0})
"""`first` is for a round's requests, not for recipes."""


def nothing(prompt: Prompt, group: Group, values: Values, options: Options, step: int, k: int) -> list[Draw]:
    """No samples: the group is what others give."""
    return []


NONE = Strategy(
    name="none",
    source="no samples of the policy: learning from given answers alone",
    propose=nothing,
    most=lambda options, k: 0,
)
